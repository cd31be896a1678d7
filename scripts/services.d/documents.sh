# shellcheck shell=bash
# Two emulators of MongoDB, as no registry has MongoDB itself; and Cassandra.

# --- mongodb: mongo-java-server ----------------------------------------------------

mongojava_version=1.47.0

packages_mongodb() { java_packages; }
have_mongodb() { command -v java >/dev/null && [ -e "$(mongojava)/Journaled.class" ]; }
version_mongodb() { echo "mongo-java-server $mongojava_version, an emulator"; }

mongojava() { echo "$cache/mongo-java-server-$mongojava_version-journaled"; }

get_mongodb() {
	local home
	home=$(mongojava)
	need javac && get_jars "$home" "mongo-java-server-$mongojava_version.jar" 37fc487ab0ef924dee0acdc62e2de1ef1daffa7eb2fdf9b56e5d2f3bdc2b909b \
		"de.bwaldvogel:mongo-java-server:$mongojava_version" org.slf4j:slf4j-nop:2.0.17 || return 1
	# It keeps all in memory. So that nothing it has answered is lost when it is killed, each command that changes
	# something is written to a file first, and done again at the next start: by then documents to which it gave an _id
	# of its own have another. The version it claims by itself is too old for today's drivers.
	cat >"$home/Journaled.java" <<-'END'
		import de.bwaldvogel.mongo.*;
		import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
		import de.bwaldvogel.mongo.bson.Document;
		import de.bwaldvogel.mongo.wire.bson.*;
		import io.netty.buffer.*;
		import io.netty.channel.Channel;
		import io.netty.channel.embedded.EmbeddedChannel;
		import java.io.*;
		import java.nio.*;
		import java.nio.channels.FileChannel;
		import java.nio.file.*;
		import java.util.*;
		import java.util.function.Consumer;

		public class Journaled extends MemoryBackend {
		    // The commands that change something, and their lists: a command may be longer than a document.
		    private static final Map<String, String> LISTS = Map.of("insert", "documents", "update", "updates", "delete", "deletes");
		    private static final Set<String> OTHERS = Set.of("findandmodify", "create", "createindexes", "drop", "dropdatabase",
		        "dropindexes", "deleteindexes", "renamecollection");

		    private final FileChannel journal;

		    private Journaled(Path file) throws IOException {
		        journal = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
		    }

		    // An entry is its length, and documents: database, name of the list and query; then what is in the list.
		    private static ByteBuf entry(String database, Document query, String list) {
		        ByteBuf entry = Unpooled.buffer().writeInt(0);
		        Document rest = query.clone();
		        Object items = list == null ? null : rest.remove(list);
		        BsonEncoder.encodeDocument(new Document("database", database).append("list", list).append("query", rest), entry);
		        if (items != null)
		            for (Object item : (Collection<?>) items) BsonEncoder.encodeDocument((Document) item, entry);
		        return entry.setInt(0, entry.readableBytes());
		    }

		    // Entry is one that is whole: what it says, and what has its list still to be read.
		    private record Entry(long at, String database, String list, Document query, ByteBuf items) {
		        String command() { return query.keySet().iterator().next(); }
		    }

		    // each gives all entries. Of a last one that is not whole nobody was told: it goes.
		    private void each(Consumer<Entry> use) throws IOException {
		        ByteBuffer length = ByteBuffer.allocate(4);
		        long at = 0;
		        while (read(length.clear(), at)) {
		            ByteBuffer whole = ByteBuffer.allocate(length.getInt(0));
		            if (!read(whole, at)) break;
		            ByteBuf items = Unpooled.wrappedBuffer(whole.position(4));
		            Document first = BsonDecoder.decodeBson(items);
		            use.accept(new Entry(at, (String) first.get("database"), (String) first.get("list"), (Document) first.get("query"), items));
		            at += whole.capacity();
		        }
		        journal.truncate(at).position(at);
		    }

		    // repeat does what the journal has, but for what databases had before they were dropped.
		    private void repeat() throws IOException {
		        Map<String, Long> dropped = new HashMap<>();
		        each(e -> { if (e.command().equalsIgnoreCase("dropDatabase")) dropped.put(e.database, e.at); });
		        Channel nobody = new EmbeddedChannel();
		        each(e -> {
		            if (e.at < dropped.getOrDefault(e.database, 0L)) return;
		            List<Document> items = new ArrayList<>();
		            while (e.items.isReadable()) items.add(BsonDecoder.decodeBson(e.items));
		            if (e.list != null) e.query.put(e.list, items);
		            try {
		                super.handleCommand(nobody, e.database, e.command(), e.query);
		            } catch (RuntimeException refused) {
		                // as it was then
		            }
		        });
		    }

		    private boolean read(ByteBuffer into, long at) throws IOException {
		        while (into.hasRemaining())
		            if (journal.read(into, at + into.position()) < 0) return false;
		        return true;
		    }

		    @Override
		    public Document handleCommand(Channel channel, String database, String command, Document query) {
		        String name = command.toLowerCase(Locale.ROOT);
		        if (!LISTS.containsKey(name) && !OTHERS.contains(name)) return super.handleCommand(channel, database, command, query);
		        ByteBuf entry = entry(database, query, LISTS.get(name));
		        synchronized (journal) { // in the order in which they are done
		            try {
		                for (ByteBuffer b = entry.nioBuffer(); b.hasRemaining(); ) journal.write(b);
		            } catch (IOException e) {
		                throw new UncheckedIOException(e);
		            }
		            return super.handleCommand(channel, database, command, query);
		        }
		    }

		    public static void main(String[] args) throws IOException {
		        Journaled backend = new Journaled(Path.of(args[1]));
		        backend.version(new MongoVersion() {
		            public List<Integer> getVersionArray() { return List.of(5, 0, 0); }
		            public int getWireVersion() { return 13; }
		        });
		        backend.repeat();
		        MongoServer server = new MongoServer(backend);
		        server.bind("127.0.0.1", Integer.parseInt(args[0]));
		        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
		    }
		}
	END
	javac -cp "$home/lib/*" -d "$home" "$home/Journaled.java"
}

prepare_mongodb() { :; }

run_mongodb() {
	local home
	home=$(mongojava)
	spawn server java -Xmx768M -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$home/lib/*:$home" Journaled $((base + 50)) "$dir/journal"
}

well_mongodb() { hello $((base + 50)); }
url_mongodb() { echo "mongodb://127.0.0.1:$((base + 50))/"; }

# hello sends MongoDB's first command, {hello: 1, $db: "admin"}, and wants an answer: a server that is paused takes
# connections too.
hello() {
	# shellcheck disable=SC2016 # for the other bash
	probe bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" &&
		printf "\x34\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x1f\0\0\0\x10hello\0\x01\0\0\0\x02\$db\0\x06\0\0\0admin\0\0" >&3 &&
		head -c 16 <&3 | wc -c | grep -qx 16' hello "$1"
}

# --- mongodb-nx: nx-27017 ----------------------------------------------------------

nx_version=0.8.1

packages_mongodb-nx() { echo python3-venv; }
have_mongodb-nx() { [ -x "$cache/nx-$nx_version/bin/nx-27017" ]; }
version_mongodb-nx() { echo "nx-27017 $nx_version, an emulator"; }

get_mongodb-nx() {
	local home=$cache/nx-$nx_version
	python3 -m venv --clear "$home" && timeout 300 "$home/bin/python" -m pip install -q "nx-27017==$nx_version"
}

prepare_mongodb-nx() { mkdir -p "$dir/data"; }

run_mongodb-nx() {
	spawn server "$cache/nx-$nx_version/bin/nx-27017" --data-dir "$dir/data" -p $((base + 51)) --log-file "$dir/own.log" --pid-file "$dir/own.pid"
}

well_mongodb-nx() { hello $((base + 51)); }
url_mongodb-nx() { echo "mongodb://127.0.0.1:$((base + 51))/"; }

# --- cassandra ---------------------------------------------------------------------

cassandra_version=5.0.9
cqlsh_version=6.2.2

packages_cassandra() {
	java_packages
	echo python3-venv
}
have_cassandra() { command -v java >/dev/null && have_cassandra_jars && [ -x "$(cqlsh)" ]; }
have_cassandra_jars() { [ -d "$cache/cassandra-$cassandra_version/lib" ]; }
version_cassandra() { echo "$cassandra_version, cqlsh $cqlsh_version"; }

# cqlsh is Cassandra's own shell, which tests look with.
cqlsh() { echo "$cache/cqlsh-$cqlsh_version/bin/cqlsh"; }

get_cassandra() {
	have_cassandra_jars || get_jars "$cache/cassandra-$cassandra_version" "cassandra-all-$cassandra_version.jar" 6a80e6fddde88817deec4839ae431e3a9c4eeb728560336890094c6f870fef5e \
		"org.apache.cassandra:cassandra-all:$cassandra_version" || return 1
	[ -x "$(cqlsh)" ] && return 0
	local home=$cache/cqlsh-$cqlsh_version
	python3 -m venv --clear "$home" && timeout 300 "$home/bin/python" -m pip install -q "cqlsh==$cqlsh_version"
}

# prepare_cassandra: the least that makes one small node. Writes reach the disk before they are answered (batch), as
# its default loses what came in the last seconds.
prepare_cassandra() {
	mkdir -p "$dir/conf" "$dir/tmp"
	tls_cassandra
	cat >"$dir/conf/cassandra.yaml" <<-END
		cluster_name: fairlead
		num_tokens: 1
		partitioner: org.apache.cassandra.dht.Murmur3Partitioner
		endpoint_snitch: SimpleSnitch
		seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "127.0.0.1:$((base + 61))"}]}]
		listen_address: 127.0.0.1
		storage_port: $((base + 61))
		rpc_address: 127.0.0.1
		start_native_transport: true
		native_transport_port: $((base + 60))
		authenticator: PasswordAuthenticator
		authorizer: CassandraAuthorizer
		data_file_directories: ["$dir/data"]
		commitlog_directory: "$dir/commitlog"
		saved_caches_directory: "$dir/caches"
		hints_directory: "$dir/hints"
		cdc_raw_directory: "$dir/cdc"
		commitlog_sync: batch
		commitlog_segment_size: 8MiB
		commitlog_total_space: 64MiB
		disk_failure_policy: stop
		commit_failure_policy: stop
		auto_snapshot: false
		concurrent_reads: 4
		concurrent_writes: 8
		concurrent_compactors: 1
		memtable_heap_space: 64MiB
		memtable_offheap_space: 32MiB
		file_cache_size: 32MiB
	END
	[ ! -e "$dir/tls/both.pem" ] || cat >>"$dir/conf/cassandra.yaml" <<-END
		native_transport_port_ssl: $((base + 63))
		client_encryption_options:
		  enabled: true
		  require_client_auth: true
		  ssl_context_factory:
		    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
		  keystore: $dir/tls/both.pem
		  truststore: $dir/tls/ca.pem
	END
	cat >"$dir/conf/logback.xml" <<-'END'
		<configuration>
		  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
		    <encoder><pattern>%d{ISO8601} %-5level %logger{0} %msg%n</pattern></encoder>
		  </appender>
		  <root level="INFO"><appender-ref ref="out"/></root>
		</configuration>
	END
}

# tls_cassandra makes a certificate for a second port, on which only TLS is spoken and everybody must show one: tests
# put others in its place and have the node read them by the program reload.
tls_cassandra() {
	[ -e "$dir/tls/both.pem" ] && return 0
	command -v openssl >/dev/null || return 0
	mkdir -p "$dir/tls" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=cassandra \
		-keyout "$dir/tls/key.pem" -out "$dir/tls/ca.pem" && cat "$dir/tls/key.pem" "$dir/tls/ca.pem" >"$dir/tls/both.pem" || return 1
	echo "127.0.0.1:$((base + 63))" >"$dir/tls/address"
	cat >"$dir/tls/reload" <<-END
		#!/bin/sh
		exec java -Xmx64M -XX:TieredStopAtLevel=1 --add-exports java.base/sun.nio.ch=ALL-UNNAMED \\
			--add-exports java.base/jdk.internal.ref=ALL-UNNAMED "-Duser.home=$dir/tmp" \\
			-cp "$dir/conf:$cache/cassandra-$cassandra_version/lib/*" org.apache.cassandra.tools.NodeTool -p $((base + 62)) reloadssl
	END
	chmod 755 "$dir/tls/reload"
}

run_cassandra() {
	local lib=$cache/cassandra-$cassandra_version/lib agent open=() name
	for agent in "$lib"/jamm-*.jar; do :; done
	for name in jdk.internal.misc jdk.internal.ref java.lang.ref java.lang.reflect sun.nio.ch; do
		open+=(--add-exports "java.base/$name=ALL-UNNAMED")
	done
	for name in java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server \
		java.sql/java.sql jdk.unsupported/sun.misc jdk.compiler/com.sun.tools.javac.file; do
		open+=(--add-exports "$name=ALL-UNNAMED")
	done
	for name in java.io java.lang java.lang.module java.lang.reflect java.nio java.util java.util.concurrent \
		java.util.concurrent.atomic jdk.internal.loader jdk.internal.math jdk.internal.module jdk.internal.ref \
		jdk.internal.reflect jdk.internal.util.jar sun.nio.ch; do
		open+=(--add-opens "java.base/$name=ALL-UNNAMED")
	done
	# The last three take away waits for other nodes, of which there are none; a password costs little to prove.
	spawn server java "-javaagent:$agent" -Xms512M -Xmx512M -Xss512k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxDirectMemorySize=256M \
		"${open[@]}" --add-opens jdk.management/com.sun.management.internal=ALL-UNNAMED -Djdk.attach.allowAttachSelf=true \
		"-Djava.io.tmpdir=$dir/tmp" -Djava.net.preferIPv4Stack=true -Dcassandra.jmx.local.port=$((base + 62)) \
		"-Dcassandra.config=file://$dir/conf/cassandra.yaml" "-Dcassandra.storagedir=$dir" "-Dlogback.configurationFile=$dir/conf/logback.xml" \
		-Dcassandra-foreground=yes -Dcassandra.auth_bcrypt_gensalt_log2_rounds=4 \
		-Dcassandra.superuser_setup_delay_ms=0 -Dcassandra.skip_wait_for_gossip_to_settle=0 \
		-Dcassandra.ring_delay_ms=1 -cp "$dir/conf:$lib/*" org.apache.cassandra.service.CassandraDaemon
}

# well_cassandra sends OPTIONS of the native protocol, version 4, and wants SUPPORTED. Its first user is made a little
# later than that, once.
well_cassandra() {
	[ -e "$dir/user" ] || grep -q "Created default superuser role 'cassandra'" "$dir/server.log" && : >"$dir/user" || return 1
	# shellcheck disable=SC2016 # for the other bash
	probe bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "\x04\0\0\0\x05\0\0\0\0" >&3 &&
		head -c 5 <&3 | od -An -tx1 | grep -q "84 00 00 00 06"' options $((base + 60))
}

url_cassandra() { echo "cassandra://cassandra:cassandra@127.0.0.1:$((base + 60))/"; }
more_cassandra() { echo "export FAIRLEAD_TEST_CQLSH='$(cqlsh)'"; }
