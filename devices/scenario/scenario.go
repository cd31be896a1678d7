package scenario

import "time"

// Scenario is one file.
type Scenario struct {
	Title       string        `toml:"title" doc:"one line"`
	Description string        `toml:"description" doc:"what is simulated and what it shows"`
	Broker      string        `toml:"broker" doc:"where the devices connect: mqtt, mqtts, ws, wss or unix URL"`
	Seed        uint64        `toml:"seed" doc:"makes all choices repeatable; 0 takes one from the clock and prints it"`
	Duration    time.Duration `toml:"duration" doc:"how long the devices publish, from the first connect on"`
	Settle      time.Duration `toml:"settle" doc:"how long to wait afterwards for what is still under way"`

	Expect  Expect              `toml:"expect" doc:"what has to hold for the run to pass"`
	TLS     TLS                 `toml:"tls" doc:"how devices check the broker, and prove themselves"`
	Network map[string]*Network `toml:"network" doc:"network conditions by name, for groups to choose"`
	Groups  map[string]*Group   `toml:"groups" doc:"the devices, by kind"`

	folder string              // of the file: names of payload files are relative to it
	lines  map[string][][]byte // of payload files, by their names as written
	keys   map[string]keyring  // of psk_file, by their names as written
}

// TLS says how devices check the broker, and prove themselves.
type TLS struct {
	CAFile     string `toml:"ca_file" doc:"authorities to trust, PEM; the system's when left out"`
	CertFile   string `toml:"cert_file" doc:"client certificate, PEM"`
	KeyFile    string `toml:"key_file" doc:"its private key, PEM"`
	ServerName string `toml:"server_name" doc:"name to expect in the broker's certificate; the URL's host when left out"`
	Insecure   bool   `toml:"insecure" doc:"do not check the broker's certificate"`
}

// Expect is what has to hold for the run to pass.
type Expect struct {
	Connected    float64       `toml:"connected" doc:"share of devices that must have been connected, 0 to 1"`
	LossQoS0     float64       `toml:"loss_qos0" doc:"share of QoS 0 deliveries that may be missing; at QoS 1 and 2 none may"`
	Unanswered   float64       `toml:"unanswered" doc:"share of connects over datagrams that devices may give up without an answer, and try again: where the network loses datagrams, now and then all of one connect's get lost"`
	Duplicates   bool          `toml:"duplicates" doc:"false: at QoS 1 no message may come twice on one connection without DUP, at QoS 2 never; true: QoS 1 is not judged"`
	Latency50    time.Duration `toml:"latency_p50" doc:"longest median of the time from PUBLISH to receipt; 0: not judged"`
	Latency99    time.Duration `toml:"latency_p99" doc:"the same for 99 of 100"`
	LatencyMax   time.Duration `toml:"latency_max" doc:"the same for all"`
	Connect99    time.Duration `toml:"connect_p99" doc:"longest time from CONNECT to CONNACK for 99 of 100; 0: not judged"`
	WillWithin   time.Duration `toml:"will_within" doc:"how late a Will may come after the connection's end and its delay"`
	MinPublished uint64        `toml:"min_published" doc:"messages that must have been sent; guards against a run in which nothing happened"`
	Refusals     bool          `toml:"refusals" doc:"true: refused connections, subscriptions and messages are counted and do not fail the run"`
}

// Network is a condition of the fleet's own transport.
type Network struct {
	Latency   time.Duration `toml:"latency" doc:"added to each direction"`
	Jitter    time.Duration `toml:"jitter" doc:"added at random up to this; a stream stays in order"`
	Loss      float64       `toml:"loss" doc:"share of datagrams that vanish; streams ignore it"`
	Duplicate float64       `toml:"duplicate" doc:"share of datagrams that come twice; streams ignore it"`
	Reorder   float64       `toml:"reorder" doc:"share of datagrams that are held back behind the next; streams ignore it"`
	Bandwidth int           `toml:"bandwidth" unit:"bytes" doc:"bytes a second in each direction; 0: not limited"`
	CutEvery  time.Duration `toml:"cut_every" doc:"mean time after which a connection is reset; 0: never"`
	HalfOpen  float64       `toml:"half_open" doc:"share of cuts that are silent: nothing passes any more and nobody is told"`
	Rebind    time.Duration `toml:"rebind" doc:"mean time after which the device comes from another address: a stream is cut and opened anew, datagrams go on"`
}

// Group is a kind of device.
type Group struct {
	Description string        `toml:"description" doc:"what these are"`
	Count       int           `toml:"count" doc:"how many"`
	Protocol    string        `toml:"protocol" oneof:"mqtt5,mqtt3.1.1,mqtt3.1,mqttsn,coap" doc:"what they speak"`
	Broker      string        `toml:"broker" doc:"URL for this group; the scenario's when left out, for MQTT-SN and CoAP its host with the port of the protocol"`
	ClientID    string        `toml:"client_id" doc:"template; of its placeholders {id} is not allowed"`
	Username    string        `toml:"username" doc:"template"`
	Password    string        `toml:"password" secret:"true" doc:"template"`
	Start       time.Duration `toml:"start" doc:"when the first connects, from the begin of the run"`
	Ramp        float64       `toml:"ramp" doc:"connections begun a second; 0: all at once"`
	KeepAlive   time.Duration `toml:"keep_alive" doc:"whole seconds; 0: none"`
	Durable     bool          `toml:"durable" doc:"keeps its session: Clean Start 0, or clean session 0"`
	Expiry      time.Duration `toml:"session_expiry" doc:"of durable sessions, MQTT 5; 0: one hour"`
	Receive     int           `toml:"receive_maximum" doc:"QoS 1 and 2 messages taken unacknowledged, MQTT 5; 0: 65,535"`
	Inflight    int           `toml:"inflight" doc:"own QoS 1 and 2 messages under way at once; 0: 16"`
	Retry       time.Duration `toml:"retry" doc:"MQTT-SN and CoAP: time until what was not answered is sent again; 0: 10s and 2s"`
	Block       int           `toml:"block" unit:"bytes" doc:"CoAP: payload of one datagram, 16 to 1024 by powers of two; longer ones go block by block; 0: 1024"`
	DTLS        float64       `toml:"dtls" doc:"MQTT-SN and CoAP: share of the group that speaks over DTLS, its last devices; all of them where broker is an mqttsns or coaps URL"`
	DTLSBroker  string        `toml:"dtls_broker" doc:"URL for these, mqttsns or coaps; the host of broker with the port of the protocol when left out"`
	PSKFile     string        `toml:"psk_file" doc:"DTLS: file of lines IDENTITY:KEY as in dtls.psk_file of the gateway, its path from the scenario's folder; a device has its client identifier for identity. Left out: keys that are made of the client identifiers, which fleet keys prints for the gateway"`
	Network     string        `toml:"network" doc:"name of a network condition"`
	Unconnected bool          `toml:"unconnected" doc:"true: MQTT-SN devices that never connect, and publish with QoS -1 (which counts as 0) to topics of predefined ids and of two characters"`
	Linger      bool          `toml:"linger" doc:"true: cut the connection at the end of the run instead of DISCONNECT, so that Wills are published"`
	WarmUp      bool          `toml:"warm_up" doc:"true: groups without it begin only once all of this group are connected and subscribed"`

	Predefined map[string]string `toml:"predefined" doc:"MQTT-SN: topic ids that devices know beforehand, and their topics, as in mqttsn.predefined of the gateway"`

	Will      *Will                 `toml:"will" doc:"the message that the broker publishes for a device that vanishes"`
	Subscribe map[string]*Subscribe `toml:"subscribe" doc:"subscriptions by name, made after each connect to a new session"`
	Publish   map[string]*Publish   `toml:"publish" doc:"what they publish, by name"`
	Respond   map[string]*Respond   `toml:"respond" doc:"answers to received messages, by name"`
	Reconnect Reconnect             `toml:"reconnect" doc:"what a device does after its connection was lost or refused"`
	Sleep     *Sleep                `toml:"sleep" doc:"takes devices off and on"`
	Misbehave *Misbehave            `toml:"misbehave" doc:"makes devices a burden"`
}

// Will is the message that the broker publishes for a device that vanishes.
type Will struct {
	Topic     string        `toml:"topic" doc:"template"`
	Sparkplug bool          `toml:"sparkplug" doc:"true: instead of payload the death certificate that belongs to the birth certificate of a stream of kind sparkplug"`
	Payload   string        `toml:"payload" doc:"template; it carries no mark, the oracle goes by content"`
	QoS       int           `toml:"qos" doc:"0, 1 or 2"`
	Retain    bool          `toml:"retain" doc:"true: the broker keeps it for later subscribers"`
	Delay     time.Duration `toml:"delay" doc:"Will Delay Interval, MQTT 5"`
}

// Subscribe is one subscription.
type Subscribe struct {
	Filter         string        `toml:"filter" doc:"template, with $share/NAME/ if shared"`
	QoS            int           `toml:"qos" doc:"highest QoS wanted: 0, 1 or 2"`
	NoLocal        bool          `toml:"no_local" doc:"true: not the device's own messages, MQTT 5"`
	RetainAs       bool          `toml:"retain_as_published" doc:"true: live messages keep their RETAIN flag, MQTT 5"`
	RetainHandling int           `toml:"retain_handling" doc:"MQTT 5: 0 send, 1 send to new subscriptions, 2 do not send"`
	After          time.Duration `toml:"after" doc:"how long after the connect"`
	Every          time.Duration `toml:"every" doc:"unsubscribe and subscribe anew so often; 0: never"`
}

// Publish is one stream of messages.
type Publish struct {
	Topic    string         `toml:"topic" doc:"template; at most one of {each:…}, {any:…} and {rand:…} makes it another for each message"`
	Response string         `toml:"response_topic" doc:"template; asks for an answer on this topic, with the mark as Correlation Data, MQTT 5"`
	QoS      int            `toml:"qos" doc:"0, 1 or 2"`
	Mix      []float64      `toml:"qos_mix" doc:"shares of QoS 0, 1 and 2, instead of qos"`
	Retain   bool           `toml:"retain" doc:"true: the broker keeps the last one for later subscribers"`
	Expiry   time.Duration  `toml:"expiry" doc:"Message Expiry Interval, MQTT 5; 0: none"`
	Schedule string         `toml:"schedule" oneof:"fixed,poisson,burst,diurnal,once,max" doc:"fixed: every so often; poisson: the same mean at random; burst: count messages at once; diurnal: rate follows a day of length period; once: count messages after each connect; max: as fast as acknowledgements allow"`
	Every    time.Duration  `toml:"every" doc:"(mean) time between messages or bursts of one device; once: between its messages"`
	After    *time.Duration `toml:"after" doc:"time of the first after the connect; left out: spread over every at random, for once and max at once"`
	Count    int            `toml:"count" doc:"messages of a burst, or of once"`
	Limit    int            `toml:"limit" doc:"messages of one device in all; 0: not limited"`
	Period   time.Duration  `toml:"period" doc:"diurnal: length of the day"`
	Low      float64        `toml:"low" doc:"diurnal: rate at night, with which the run begins, as a share of the rate at noon"`
	Away     bool           `toml:"away" doc:"true: messages that fall into an absence are kept and sent after the reconnect; false: they are not made"`
	Payload  Payload        `toml:"payload" doc:"what the messages hold"`
}

// Payload says what messages hold. Every message also carries a mark by which the
// oracle knows it, unless Mark is "none".
type Payload struct {
	Kind   string   `toml:"kind" oneof:"auto,counter,walk,template,sparkplug,file,bytes,text" doc:"counter: a number that grows; walk: a random walk between low and high; template: text with {…}; sparkplug: metrics in Sparkplug B's form, all of them with their names where the topic says NBIRTH or DBIRTH; file: lines of a file in turn; bytes: random, of size; text: as it stands; auto: what fits to that which is given of file, values, text (a template), low and high, or size, else counter"`
	Text   string   `toml:"text" doc:"template or text"`
	Values []string `toml:"values" doc:"text: one of these in turn instead"`
	File   string   `toml:"file" doc:"file: its path, from the scenario's folder"`
	Size   int      `toml:"size" unit:"bytes" doc:"bytes: size; others: padded to it; 0: as it comes"`
	Low    float64  `toml:"low" doc:"walk, and {value} where high is given too: the lowest"`
	High   float64  `toml:"high" doc:"the highest"`
	Step   float64  `toml:"step" doc:"the largest change; 0: a twentieth of the way from low to high"`
	Mark   string   `toml:"mark" oneof:"payload,property,none" doc:"where the mark stands: in the payload (in JSON as a member), in a user property (MQTT 5), or nowhere: then the oracle goes by content"`
}

// Respond answers what comes on the group's subscriptions.
type Respond struct {
	Filter  string        `toml:"filter" doc:"template; which messages are answered"`
	Topic   string        `toml:"topic" doc:"template of the answer's topic; left out: the Response Topic (MQTT 5), with its Correlation Data"`
	QoS     int           `toml:"qos" doc:"0, 1 or 2"`
	Retain  bool          `toml:"retain" doc:"true: the broker keeps the last answer"`
	Delay   time.Duration `toml:"delay" doc:"time until the answer"`
	Payload Payload       `toml:"payload" doc:"what the messages hold"`
}

// Reconnect is what a device does after its connection was lost or refused.
type Reconnect struct {
	Min    time.Duration `toml:"min" doc:"first wait"`
	Max    time.Duration `toml:"max" doc:"longest wait; each is twice the one before"`
	Jitter float64       `toml:"jitter" doc:"share of the wait that is random"`
	Limit  int           `toml:"limit" doc:"tries in a row until the device gives up; 0: never"`
}

// Sleep takes a device off and on: it disconnects, sleeps, and connects again. MQTT-SN
// devices tell the gateway that they sleep, and fetch what gathered when they wake.
type Sleep struct {
	Awake  time.Duration `toml:"awake" doc:"mean time connected"`
	Asleep time.Duration `toml:"asleep" doc:"mean time away"`
	Jitter float64       `toml:"jitter" doc:"share of both that is random"`
	Abrupt float64       `toml:"abrupt" doc:"share of departures without DISCONNECT"`
}

// Misbehave makes devices a burden.
type Misbehave struct {
	Share     float64       `toml:"share" doc:"share of the group that does so, its last devices and at least one; 0: all"`
	SlowRead  int           `toml:"slow_read" unit:"bytes" doc:"bytes read a second"`
	FlapEvery time.Duration `toml:"flap_every" doc:"mean time after which it cuts the connection and comes back at once"`
	Duplicate bool          `toml:"duplicate_client_id" doc:"true: uses the client identifier of the group's first device"`
}
