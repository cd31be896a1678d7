package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/devices"
)

// packets are those to which properties can be given, as mosquitto_pub and
// mosquitto_sub name them.
func packets() []string {
	return []string{"auth", "connect", "disconnect", "publish", "subscribe", "unsubscribe", "will"}
}

// joinProperties turns the form of mosquitto_pub and mosquitto_sub, -D PACKET
// NAME VALUE (user-property has two values), into one argument for each -D:
// PACKET.NAME=VALUE.
func joinProperties(args []string) []string {
	if len(args) == 0 || args[0] != "pub" && args[0] != "sub" {
		return args
	}
	var out []string
	for i := 0; i < len(args); i++ {
		flag := args[i] == "-D" || args[i] == "--property"
		if !flag || i+3 >= len(args) || !slices.Contains(packets(), args[i+1]) {
			out = append(out, args[i])
			continue
		}
		name, value := args[i+2], args[i+3]
		used := 3
		if name == "user-property" && i+4 < len(args) {
			value += "=" + args[i+4]
			used = 4
		}
		out = append(out, "-D", args[i+1]+"."+name+"="+value)
		i += used
	}
	return out
}

// applyProperties sets those properties of given that are for the packet; "" is
// the one that the command is about.
func applyProperties(given []string, packet string, m *devices.Message) error {
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return usagef("--property %q: write NAME=VALUE", text)
		}
		target := "publish"
		if before, after, found := strings.Cut(name, "."); found {
			target, name = before, after
		}
		if !slices.Contains(packets(), target) {
			return usagef("--property %q: there is no packet %q", text, target)
		}
		if target != packet {
			continue
		}
		if err := applyProperty(text, name, value, m); err != nil {
			return err
		}
	}
	return nil
}

func applyProperty(text, name, value string, m *devices.Message) error {
	switch name {
	case "user", "user-property":
		key, val, ok := strings.Cut(value, "=")
		if !ok {
			return usagef("--property %q: write user=NAME=VALUE", text)
		}
		m.User = append(m.User, devices.UserProperty{Name: key, Value: val})
	case "content-type":
		m.ContentType = value
	case "response-topic":
		m.ResponseTopic = value
	case "correlation", "correlation-data":
		m.CorrelationData = []byte(value)
	case "expiry", "message-expiry-interval":
		seconds, err := parseExpiry(value)
		if err != nil {
			return err
		}
		m.Expiry, m.HasExpiry = seconds, true
	case "utf8", "payload-format-indicator":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return usagef("--property %q: write true or false", text)
		}
		m.UTF8 = on
	default:
		return usagef("--property %q is not known: there are user, content-type, response-topic, correlation, expiry and utf8", text)
	}
	return nil
}
