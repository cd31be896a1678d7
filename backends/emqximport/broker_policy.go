package emqximport

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// policy is where a setting of the broker goes. A value of nil is one that need not be
// written.
type policy struct {
	section, key string
	read         func(string) (value any, why string)
}

// policies are those that hold for all clients, by the names of zones' settings.
func policies() map[string]policy {
	return map[string]policy{
		"node.name": {"node", "name", nodeName},

		"max_packet_size":       {"mqtt", "max_packet_size", size(128, 268_435_455)},
		"max_qos_allowed":       {"mqtt", "max_qos", whole(0, 2)},
		"max_topic_alias":       {"mqtt", "topic_alias_maximum", whole(0, 65535)},
		"retain_available":      {"mqtt", "retain_available", readFlag},
		"wildcard_subscription": {"mqtt", "wildcard_available", readFlag},
		"shared_subscription":   {"mqtt", "shared_available", readFlag},
		"response_information":  {"mqtt", "response_information", words},
		"acl_deny_action":       {"mqtt", "acknowledge_refused", oneOf(map[string]any{"ignore": true, "disconnect": false})},

		"max_clientid_len":         {"core", "max_client_id_length", whole(23, 65535)},
		"max_topic_levels":         {"core", "max_topic_levels", bounded(whole(1, 32768))},
		"max_subscriptions":        {"core", "max_subscriptions", bounded(whole(1, 100_000_000))},
		"max_inflight":             {"core", "max_inflight", bounded(whole(1, 65535))},
		"max_mqueue_len":           {"core", "max_queued", bounded(whole(1, 1_000_000_000))},
		"mqueue_store_qos0":        {"core", "queue_qos0", readFlag},
		"mqueue_default_priority":  {"core", "priority_default", oneOf(map[string]any{"lowest": "lowest", "highest": "highest"})},
		"session_expiry_interval":  {"core", "max_session_expiry", timeBetween("1s", "876000h")},
		"server_keepalive":         {"core", "server_keep_alive", timeBetween("0s", "18h12m15s")},
		"broker.sys_interval":      {"core", "sys_interval", timeBetween("0s", "24h")},
		"retainer.max_message_num": {"core", "max_retained", bounded(whole(1, 1_000_000_000))}, "retainer.max_retained_messages": {"core", "max_retained", bounded(whole(1, 1_000_000_000))},
		"retainer.expiry_interval": {"core", "retained_expiry", timeBetween("0s", "876000h")},
		"sn.gateway_id":            {"mqttsn", "gateway_id", whole(1, 255)},
		"sn.advertise_duration":    {"mqttsn", "advertise_interval", timeBetween("1s", "18h")},
		"coap.keepalive":           {"coap", "keep_alive", timeBetween("1s", "18h")},
		"broker.shared_subscription_strategy": {"core", "shared_strategy", oneOf(map[string]any{"random": "random", "round_robin": "round_robin", "sticky": "sticky", "local": "local",
			"hash": "hash_clientid", "hash_clientid": "hash_clientid", "hash_topic": "hash_topic"})},
	}
}

// silent says of a setting that what it says is so here anyway, or is looked at elsewhere.
func silent(name, value string) bool {
	values, known := map[string]string{
		"enable_ban": "on", "enable_acl": "on", "enable_acl_cache": "on", "cache_acl": "on", "keepalive_backoff": "0.75", "upgrade_qos": "off", "ignore_loop_deliver": "off",
		"strict_mode": "on", "use_username_as_clientid": "off", "bypass_auth_plugins": "off", "mqueue_type": "simple", "shared_dispatch_ack_enabled": "on",
		"broker.shared_dispatch_ack_enabled": "on", "broker.enable_session_registry": "on", "retainer.storage_type": "disc", "websocket_protocol_header": "on", "module.delayed": "on",
		"module.subscription": "*", "module.rewrite": "*", "enable_flapping_detect": "*", "plugins.etc_dir": "*", "plugins.loaded_file": "*", "plugins.expand_plugins_dir": "*", "module.loaded_file": "*",
	}[name]
	on := map[string]string{"true": "on", "false": "off"}[value]
	return known && (values == "*" || values == value || values == on && on != "")
}

// ofListeners says of a setting of a zone that listeners have it here.
func ofListeners(name string) bool {
	return slices.Contains([]string{"idle_timeout", "publish_limit", "rate_limit.conn_messages_in", "rate_limit.conn_bytes_in", "mountpoint"}, name)
}

// unknownOfBroker says why a setting has no place, and what to do.
func unknownOfBroker(name string) (why, do string) {
	for _, u := range []struct{ prefixes, why, do string }{
		{"cluster. rpc. ekka.", "this gateway does not form clusters yet", "run one gateway, with its sessions in a database that outlives it (docs/durability.md)"},
		{"node.", "is about the machine of Erlang, and there is none here", "nothing is left to do"},
		{"log.", "the log goes to the standard error, and is not kept by the gateway", "have the service manager keep it, and set log.format if a program reads it"},
		{"sysmon. os_mon. vm_mon. alarm. conn_congestion. tracer", "the gateway raises no alarms of its own", "watch /metrics, see docs/observe.md"},
		{"force_gc_ force_shutdown_ enable_stats conn.force_gc_count pubsub. broker.perf. broker.route_ broker.session_ hibernate", "is about how EMQ X works inside", "nothing is left to do"},
		{"module.presence", "there are no $SYS messages of single clients yet", "have a data rule write client.connected and client.disconnected, see docs/backends.md"},
		{"retry_interval await_rel_timeout", "messages are sent again when the client comes back, as MQTT wants it [MQTT-4.4.0-1], and not by the clock", "nothing is left to do"},
		{"max_awaiting_rel", "core.receive_maximum bounds messages of QoS 1 as well, so it was not taken", "set core.receive_maximum, if that is meant"},
		{"high_watermark low_watermark", "the gateway raises no alarms of its own", "watch /metrics, see docs/observe.md"},
		{"acl_cache_ttl acl_cache_max_size enable_acl_cache cache_acl", "decisions are kept as long as nothing about them changes", "nothing is left to do"},
		{"enable_acl", "access rules are always asked", "give the clients rules that allow everything, see docs/acl.md"},
		{"enable_ban", "bans always hold", "make none"},
		{"bypass_auth_plugins", "every client must be known to a source of identities", "make users for them, or set allow_anonymous of their listener"},
		{"use_username_as_clientid", "a client id is what the client says", "bind it to the user, see client_id in docs/security.md"},
		{"sn.username sn.password", "sensors have no password in common: each is known by its DTLS key, a token, or network and client id", "see [[mqttsn.clients]] and mqttsn.token_separator in docs/mqttsn.md"},
		{"sn.enable_stats sn.subs_resume coap.enable_stats", "is about how EMQ X works inside", "nothing is left to do"},
		{"sn.idle_timeout", "a sensor is gone when its keep alive has passed", "nothing is left to do"},
		{"coap.keyfile coap.certfile", "certificates belong to the listener for DTLS", "set [listeners.coaps] by docs/coap.md"},
		{"retainer.storage_type", "retained messages are kept on disk", "nothing is left to do"},
		{"retainer.", "there is no such bound here", "set mqtt.max_packet_size, core.max_retained and core.max_retained_bytes"},
		{"quota. rate_limit. overall_", "messages are counted as they come in, for each client and for each listener", "set message_rate, byte_rate and the like of the listener"},
		{"strict_mode", "what is malformed ends the connection, always [MQTT-4.13.1-1]", "mend the clients that it meets"},
		{"keepalive_backoff", "a client has 1.5 times its keep alive [MQTT-3.1.2-22]", "nothing is left to do"},
		{"upgrade_qos", "a message is delivered at most at the QoS that it was published at [MQTT-3.8.4-8]", "have the publisher use the QoS that is wanted"},
		{"ignore_loop_deliver", "clients say so themselves: No Local of MQTT 5", "have them set it"},
		{"module. modules.", "there is no such module", "look in the documentation for what does the like"},
	} {
		for prefix := range strings.FieldsSeq(u.prefixes) {
			if name == prefix || strings.HasPrefix(name, prefix) && (strings.HasSuffix(prefix, ".") || strings.HasSuffix(prefix, "_") || strings.HasPrefix(name, prefix+".")) {
				return u.why, u.do
			}
		}
	}
	return noPlace, leave
}

// nodeName is a topic level here.
func nodeName(s string) (any, string) {
	if strings.ContainsAny(s, "/+# ") || s == "" {
		return nil, "is no topic level, and the name becomes one"
	}
	return s, ""
}

func words(s string) (any, string) { return s, "" }

func readFlag(s string) (any, string) { return flag.read(s, "") }

// oneOf reads a word that means one of ours.
func oneOf(ours map[string]any) func(string) (any, string) {
	return func(s string) (any, string) {
		if v, known := ours[s]; known {
			return v, ""
		}
		return nil, "is none of " + strings.Join(slices.Sorted(maps.Keys(ours)), ", ")
	}
}

// whole reads a number.
func whole(low, high int) func(string) (any, string) {
	return func(s string) (any, string) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return nil, fmt.Sprintf("is no whole number from %d to %d", low, high)
		}
		return n, ""
	}
}

// bounded leaves a bound that is none as it is here.
func bounded(read func(string) (any, string)) func(string) (any, string) {
	return func(s string) (any, string) {
		if s == "0" || s == "infinity" {
			return nil, "is no bound there, and here there is always one"
		}
		return read(s)
	}
}

// bytesOf reads 64KB and the like, which count by 1024 there.
func bytesOf(s string) (n int, ok bool) {
	factor := int64(1)
	upper := strings.ToUpper(strings.TrimSpace(s))
	for unit, f := range map[string]int64{"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30} {
		if number, has := strings.CutSuffix(upper, unit); has {
			upper, factor = strings.TrimSpace(number), f
		}
	}
	many, err := strconv.ParseInt(upper, 10, 64)
	if err != nil || many < 0 || many > min(1<<40, math.MaxInt)/factor {
		return 0, false
	}
	return int(many * factor), true
}

// inBytes is n as people write it.
func inBytes(n int) any {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return n
}

// size reads a number of bytes.
func size(low, high int) func(string) (any, string) {
	return func(s string) (any, string) {
		if n, ok := bytesOf(s); ok && n >= low && n <= high {
			return inBytes(n), ""
		}
		return nil, fmt.Sprintf("is no size from %d to %d bytes", low, high)
	}
}

// timeBetween reads a time; a number alone is seconds.
func timeBetween(low, high string) func(string) (any, string) {
	least, _ := time.ParseDuration(low)
	most, _ := time.ParseDuration(high)
	return func(s string) (any, string) {
		if d, ok := duration(s); ok && d >= least && d <= most && !strings.HasPrefix(s, "-") {
			return d, ""
		}
		return nil, fmt.Sprintf("is no time from %s to %s", low, high)
	}
}

// filter says whether s is a Topic Filter.
func filter(s string) bool {
	_, err := (topic.Limits{}).ParseFilter(s)
	return err == nil
}
