package fairlead

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/admin"
	"github.com/fairlead-iot/fairlead/backends/aclfile"
	"github.com/fairlead-iot/fairlead/backends/httpauth"
	"github.com/fairlead-iot/fairlead/backends/jwt"
	"github.com/fairlead-iot/fairlead/backends/ldap"
	"github.com/fairlead-iot/fairlead/backends/passwd"
	"github.com/fairlead-iot/fairlead/coap"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt"
	"github.com/fairlead-iot/fairlead/mqttsn"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Config is everything that can be set. Each section belongs to the package
// that obeys it.
type Config struct {
	Node      NodeConfig                           `toml:"node" doc:"who this gateway is"`
	Log       LogConfig                            `toml:"log" doc:"what is logged, and how"`
	Auth      AuthConfig                           `toml:"auth" doc:"who may connect, and what they may do"`
	Listeners map[string]*protocols.ListenerConfig `toml:"listeners" doc:"where clients connect. A listener without an address is off, and so is one with address = \"off\" or enabled = false. mqtts, wss and quic take their usual ports on loopback once they have a certificate, mqttsns with tls.cert_file or dtls.psk_file. Any other name makes a further listener"`
	MQTT      mqtt.Config                          `toml:"mqtt" doc:"what MQTT clients are granted"`
	MQTTSN    mqttsn.Config                        `toml:"mqttsn" doc:"what MQTT-SN clients are granted, see docs/mqttsn.md"`
	CoAP      coap.Config                          `toml:"coap" doc:"what CoAP clients are granted"`
	Core      core.Config                          `toml:"core" doc:"bounds of sessions, queues and topics, whatever the protocol"`
	Store     StoreConfig                          `toml:"store" doc:"where sessions, queues and retained messages are kept; see docs/durability.md"`
	Backends  BackendsConfig                       `toml:"backends" doc:"databases that other programs share: what happens is written there, subscriptions and messages are read from there; see docs/backends.md"`
	Edge      protocols.Config                     `toml:"edge" doc:"event loops and draining"`
	Admin     admin.Config                         `toml:"admin" doc:"health, metrics and the REST API"`

	// Protocols are those that the embedding program adds; a listener speaks one that
	// names it. See docs/adapters.md.
	Protocols []Protocol `toml:"-"`

	// HashWorker gives the command of a process that calls hashes.Work, such as this
	// program by another way in: costly hashes of passwords are made there, by as many
	// of them as are made at once, and the event loops do not notice who tries passwords. See
	// hashes.NewWorkers. nil: this process makes them.
	HashWorker func() *exec.Cmd `toml:"-"`
}

// NodeConfig is the section [node].
type NodeConfig struct {
	Name         string        `toml:"name" doc:"name of this node in $SYS topics; empty takes the host's name"`
	DataDir      string        `toml:"data_dir" doc:"directory for all that must survive a restart; made when it does not exist, used by one process at a time"`
	DrainTimeout time.Duration `toml:"drain_timeout" doc:"longest time that connected clients get to leave when the gateway stops"`
}

// Validate reports settings that cannot work.
func (c *NodeConfig) Validate() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New(`data_dir: is empty; name a directory, such as "./fairlead-data"`))
	}
	if c.DrainTimeout < 0 || c.DrainTimeout > time.Hour {
		errs = append(errs, fmt.Errorf("drain_timeout: %s must be between 0s and 1h", c.DrainTimeout))
	}
	for _, r := range c.Name {
		if r <= ' ' || r == '/' || r == '+' || r == '#' || r == 0x7f {
			errs = append(errs, fmt.Errorf("name: %q must hold no blanks and none of / + #, as it becomes a topic level", c.Name))
			break
		}
	}
	return errors.Join(errs...)
}

// LogConfig is the section [log]. New takes a logger that is made already; the
// section is for whoever makes it.
type LogConfig struct {
	Level  string `toml:"level" oneof:"debug,info,warn,error" doc:"least level that is logged: debug, info, warn or error; packets are logged at debug"`
	Format string `toml:"format" oneof:"auto,text,json" doc:"text, json, or auto: text on a terminal, json otherwise"`
}

// The answers to allow_anonymous.
const (
	AnonymousLoopback = "loopback"
	AnonymousAlways   = "always"
	AnonymousNever    = "never"
)

// AuthConfig is the section [auth].
type AuthConfig struct {
	PasswdFile     string   `toml:"passwd_file" doc:"file of users and password hashes, made by fairlead passwd; empty: no users"`
	PasswdCache    bool     `toml:"passwd_cache" doc:"remember under a random key which password passed last, so that reconnecting costs a microsecond instead of 20 ms"`
	Methods        []string `toml:"methods" doc:"authentication methods of MQTT 5 that users may prove their password by without sending it: SCRAM-SHA-256, SCRAM-SHA-512; who has no keys for them (fairlead passwd stores some) cannot; empty: none"`
	ACLFile        string   `toml:"acl_file" doc:"file of access rules, see docs/acl.md; empty: this machine and users who have proven their name may publish and subscribe to everything, $SYS is for this machine"`
	AllowAnonymous string   `toml:"allow_anonymous" oneof:"loopback,always,never" doc:"who may connect without credentials: loopback (clients of this machine on listeners that only this machine reaches), always, never; allow_anonymous of a listener goes before"`
	Order          []string `toml:"order" doc:"in which order sources are asked about a client: passwd, jwt, redis, postgres, mysql, mongodb, cassandra, ldap, http, of which those that are configured count; what is not named comes behind, in that order. Certificates and shared keys always go before"`

	JWT  jwt.Config      `toml:"jwt" doc:"users come in by signed tokens, see docs/identities.md; off without a key"`
	LDAP ldap.Config     `toml:"ldap" doc:"users of a directory, see docs/identities.md; off without a server"`
	HTTP httpauth.Config `toml:"http" doc:"a server over HTTP says who comes in and what for, see docs/identities.md; off without auth_req.url"`
}

// Validate reports settings that cannot work.
func (c *AuthConfig) Validate() error {
	p, a := c.passwd(), c.acl()
	errs := []error{p.Validate(), a.Validate(), c.checkOrder()}
	for i, name := range c.Methods {
		if _, ok := scramHash(name); !ok {
			errs = append(errs, fmt.Errorf("methods: %q is not offered; there are SCRAM-SHA-256 and SCRAM-SHA-512", name))
		} else if slices.Contains(c.Methods[:i], name) {
			errs = append(errs, fmt.Errorf("methods: %q stands there twice", name))
		}
	}
	switch c.AllowAnonymous {
	case AnonymousLoopback, AnonymousAlways, AnonymousNever:
	default:
		errs = append(errs, fmt.Errorf("allow_anonymous: %q must be loopback, always or never", c.AllowAnonymous))
	}
	return errors.Join(errs...)
}

func (c *AuthConfig) passwd() passwd.Config {
	return passwd.Config{File: c.PasswdFile, Cache: c.PasswdCache}
}

func (c *AuthConfig) acl() aclfile.Config { return aclfile.Config{File: c.ACLFile} }

func defaultAuth() AuthConfig {
	return AuthConfig{
		PasswdCache: true, AllowAnonymous: AnonymousLoopback, Methods: []string{core.ScramSHA256.Method(), core.ScramSHA512.Method()},
		JWT: jwt.DefaultConfig(), LDAP: ldap.DefaultConfig(), HTTP: httpauth.DefaultConfig(),
	}
}

// DefaultConfig is what a gateway does that nobody configured: MQTT over TCP and
// WebSocket, MQTT-SN over UDP, on loopback only.
func DefaultConfig() Config {
	return Config{
		Node:      NodeConfig{DataDir: "./fairlead-data", DrainTimeout: 30 * time.Second},
		Log:       LogConfig{Level: "info", Format: "auto"},
		Auth:      defaultAuth(),
		Listeners: defaultListeners(),
		MQTT:      mqtt.DefaultConfig(),
		MQTTSN:    mqttsn.DefaultConfig(),
		CoAP:      coap.DefaultConfig(),
		Core:      core.DefaultConfig(),
		Store:     defaultStore(),
		Backends:  defaultBackends(),
		Edge:      protocols.DefaultConfig(),
		Admin:     admin.DefaultConfig(),
	}
}

// Validate reports what is wrong with the listeners, and between sections. What belongs to
// one section is reported by the section's own Validate.
func (c *Config) Validate() error { return errors.Join(c.validateListeners(), c.validateStore()) }

func (c *Config) validateListeners() error {
	if err := c.validateProtocols(); err != nil {
		return err // which protocols the listeners may name is not known
	}
	edge := c.edge()
	if len(edge.Listeners) == 0 {
		return errors.New("listeners: none is active; give one an address, such as listeners.mqtt.address = \"127.0.0.1:1883\"")
	}
	if err := edge.Validate(c.protocolNames()...); err != nil {
		return keyed(err)
	}
	return nil
}

// nodeName is the configured name, or the host's.
func (c *Config) nodeName() string {
	if c.Node.Name != "" {
		return c.Node.Name
	}
	named := NodeConfig{DataDir: "-"}
	named.Name, _ = os.Hostname()
	if named.Name == "" || named.Validate() != nil {
		return "fairlead"
	}
	return named.Name
}
