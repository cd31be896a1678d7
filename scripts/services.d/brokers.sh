# shellcheck shell=bash
# Kafka, RabbitMQ, NATS, etcd and LDAP: what bridges, clusters and identities speak to.

# --- kafka -------------------------------------------------------------------------

kafka_version=4.4.0

packages_kafka() { java_packages; }
have_kafka() { command -v java >/dev/null && [ -d "$cache/kafka-$kafka_version/lib" ]; }
version_kafka() { echo "$kafka_version"; }

get_kafka() {
	get_jars "$cache/kafka-$kafka_version" "kafka_2.13-$kafka_version.jar" 76d3314f873571677ff98620ab9a431e508e3687f921a3df4f70d692a970475e \
		"org.apache.kafka:kafka_2.13:$kafka_version" org.slf4j:slf4j-simple:1.7.36
}

# prepare_kafka: one node that is broker and controller; nothing is kept three times, no group waits for members.
prepare_kafka() {
	[ -e "$dir/data/meta.properties" ] && return 0
	cat >"$dir/server.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$((base + 71))
		listeners=PLAINTEXT://127.0.0.1:$((base + 70)),CONTROLLER://127.0.0.1:$((base + 71))
		advertised.listeners=PLAINTEXT://127.0.0.1:$((base + 70))
		controller.listener.names=CONTROLLER
		inter.broker.listener.name=PLAINTEXT
		listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
		log.dirs=$dir/data
		num.partitions=3
		offsets.topic.num.partitions=3
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=3
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
		log.cleaner.dedupe.buffer.size=16777216
		num.network.threads=2
		num.io.threads=4
	END
	rm -rf "$dir/data"
	java -Xmx128M -XX:TieredStopAtLevel=1 -cp "$cache/kafka-$kafka_version/lib/*" kafka.tools.StorageTool format \
		-t MkU3OEVBNTcwNTJENDM2Qg -c "$dir/server.properties"
}

run_kafka() {
	spawn server java -Xms128M -Xmx256M -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true \
		-Dorg.slf4j.simpleLogger.showDateTime=true -cp "$cache/kafka-$kafka_version/lib/*" kafka.Kafka "$dir/server.properties"
}

# well_kafka asks for ApiVersions, version 0, and wants an answer without an error to request 7.
well_kafka() {
	# shellcheck disable=SC2016 # for the other bash
	probe bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff" >&3 &&
		head -c 10 <&3 | od -An -tx1 | grep -q "00 00 00 07 00 00"' versions $((base + 70)) &&
		grep -q 'Kafka Server started' "$dir/server.log"
}

url_kafka() { echo "kafka://127.0.0.1:$((base + 70))"; }

# --- rabbitmq ----------------------------------------------------------------------

packages_rabbitmq() { echo rabbitmq-server curl; }
have_rabbitmq() { [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && command -v curl >/dev/null; }
version_rabbitmq() { version_of rabbitmq-server; }

prepare_rabbitmq() {
	mkdir -p "$dir/home" "$dir/mnesia"
	printf '%s\n' "listeners.tcp.1 = 127.0.0.1:$((base + 80))" "management.tcp.ip = 127.0.0.1" "management.tcp.port = $((base + 81))" \
		"log.console = true" "log.file = false" "disk_free_limit.absolute = 64MB" >"$dir/rabbitmq.conf"
	echo '[rabbitmq_management].' >"$dir/enabled_plugins"
	own -R rabbitmq "$dir/home" "$dir/mnesia" "$dir/rabbitmq.conf" "$dir/enabled_plugins"
}

# run_rabbitmq starts Erlang's name service too: otherwise the server would, and leave it behind.
run_rabbitmq() {
	local names=(env "ERL_EPMD_PORT=$((base + 83))" ERL_EPMD_ADDRESS=127.0.0.1 "HOME=$dir/home" LANG=C.UTF-8)
	as rabbitmq
	spawn epmd "${names[@]}" ${as[@]+"${as[@]}"} epmd
	spawn server "${names[@]}" RABBITMQ_NODENAME=fairlead@localhost "RABBITMQ_MNESIA_BASE=$dir/mnesia" "RABBITMQ_LOG_BASE=$dir/home" \
		RABBITMQ_LOGS=- "RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf" "RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins" \
		"RABBITMQ_PID_FILE=$dir/home/pid" "RABBITMQ_DIST_PORT=$((base + 82))" \
		RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none +S 2:2 -kernel inet_dist_use_interface {127,0,0,1}' \
		${as[@]+"${as[@]}"} /usr/lib/rabbitmq/bin/rabbitmq-server
}

well_rabbitmq() {
	probe curl -sf -u guest:guest -o /dev/null "http://127.0.0.1:$((base + 81))/api/health/checks/alarms" && somebody_at $((base + 80))
}

url_rabbitmq() { echo "amqp://guest:guest@127.0.0.1:$((base + 80))/"; }

# --- etcd --------------------------------------------------------------------------

packages_etcd() { echo etcd-server curl; }
have_etcd() { command -v etcd >/dev/null && command -v curl >/dev/null; }
version_etcd() { version_of etcd-server; }
prepare_etcd() { :; }

run_etcd() {
	local client=http://127.0.0.1:$((base + 90)) peer=http://127.0.0.1:$((base + 91))
	spawn server etcd --name fairlead --data-dir "$dir/data" --listen-client-urls "$client" --advertise-client-urls "$client" \
		--listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "fairlead=$peer" --unsafe-no-fsync
}

well_etcd() { probe curl -sf "$(url_etcd)/health" | grep -q '"health":"true"'; }
url_etcd() { echo "http://127.0.0.1:$((base + 90))"; }

# --- nats --------------------------------------------------------------------------

packages_nats() { echo nats-server curl; }
have_nats() { command -v nats-server >/dev/null && command -v curl >/dev/null; }
version_nats() { version_of nats-server; }
prepare_nats() { :; }
run_nats() { spawn server nats-server -a 127.0.0.1 -p $((base + 92)) -m $((base + 93)) -js -sd "$dir/data"; }
well_nats() { probe curl -sf "http://127.0.0.1:$((base + 93))/healthz" | grep -q ok; }
url_nats() { echo "nats://127.0.0.1:$((base + 92))"; }

# --- ldap --------------------------------------------------------------------------

packages_ldap() { echo slapd ldap-utils openssl; }
have_ldap() { command -v slapd >/dev/null && command -v ldapwhoami >/dev/null; }
version_ldap() { version_of slapd; }

# prepare_ldap makes a directory with one person, uid=device,dc=fairlead,dc=test, whose password is "secret". It knows EMQ
# X's attributes, and speaks TLS by a certificate of its own, $dir/server.pem.
prepare_ldap() {
	[ -e "$dir/ready" ] && return 0
	rm -rf "$dir/data" && mkdir -p "$dir/data"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$dir/server.key" -out "$dir/server.pem" 2>/dev/null || return 1
	cat >"$dir/slapd.conf" <<-END
		include /etc/ldap/schema/core.schema
		include /etc/ldap/schema/cosine.schema
		include /etc/ldap/schema/inetorgperson.schema
		include $PWD/backends/ldap/mqtt.schema
		TLSCertificateFile $dir/server.pem
		TLSCertificateKeyFile $dir/server.key
		pidfile $dir/pid
		modulepath /usr/lib/ldap
		moduleload back_mdb
		database mdb
		suffix "dc=fairlead,dc=test"
		rootdn "cn=admin,dc=fairlead,dc=test"
		rootpw fairlead
		directory $dir/data
		maxsize 67108864
		index uid eq
	END
	slapadd -f "$dir/slapd.conf" <<-'END' && : >"$dir/ready"
		dn: dc=fairlead,dc=test
		objectClass: dcObject
		objectClass: organization
		dc: fairlead
		o: Fairlead

		dn: uid=device,dc=fairlead,dc=test
		objectClass: inetOrgPerson
		uid: device
		cn: device
		sn: device
		userPassword: secret
	END
}

# run_ldap: slapd makes a table as long as the most files it may open.
run_ldap() { spawn server bash -c 'ulimit -n 1024; exec slapd -d 0 -f "$0" -h "$1"' "$dir/slapd.conf" "ldap://127.0.0.1:$((base + 95))"; }
well_ldap() { probe ldapwhoami -x -H "ldap://127.0.0.1:$((base + 95))" -D uid=device,dc=fairlead,dc=test -w secret >/dev/null; }
url_ldap() { echo "ldap://cn=admin,dc=fairlead,dc=test:fairlead@127.0.0.1:$((base + 95))/dc=fairlead,dc=test"; }
