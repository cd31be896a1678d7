package emqximport

import (
	"encoding/json"
	"errors"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// dialect is how EMQ X writes of one database, and what we make of it.
type dialect struct {
	file      string
	name      string   // of [backends.NAME]
	prefixes  []string // of keys: backend.PREFIX.
	port      string   // of servers that name none; "": they must
	settings  map[string]setting
	functions []rules.Function
	statement func(text string) error
	// expires: the database forgets by itself, after emqx's default if nothing is said.
	expires bool
	// finish makes a whole of a pool.
	finish func(*pool)
}

// setting is where the value of a key goes.
type setting struct {
	key  string
	kind kind
}

// kind is what a value is.
type kind uint8

const (
	text kind = iota
	count
	number
	flag
	server  // one HOST:PORT
	servers // several
	file
	span // a time
)

func database(name string) *dialect {
	for _, d := range []func() *dialect{redis, mysql, postgres, mongodb, cassandra} {
		if d := d(); d.file == name {
			return d
		}
	}
	return nil
}

// secured adds the keys of TLS that all have.
func secured(of map[string]setting) map[string]setting {
	for key, s := range map[string]setting{
		"ssl": {"tls", flag}, "cafile": {"tls_ca_file", file}, "cacertfile": {"tls_ca_file", file},
		"certfile": {"tls_cert_file", file}, "keyfile": {"tls_key_file", file},
		"ssl.cafile": {"tls_ca_file", file}, "ssl.cacertfile": {"tls_ca_file", file},
		"ssl.certfile": {"tls_cert_file", file}, "ssl.keyfile": {"tls_key_file", file},
	} {
		of[key] = s
	}
	return of
}

func redis() *dialect {
	return &dialect{
		file: "emqx_backend_redis.conf", name: "redis", prefixes: []string{"redis"}, expires: true,
		settings: secured(map[string]setting{
			"type": {"type", text}, "server": {"server", servers}, "sentinel": {"sentinel", text}, "pool_size": {"pool_size", count},
			"database": {"database", number}, "password": {"password", text}, "channel": {"channel", text},
		}),
		functions: rules.RedisFunctions(), finish: finishRedis,
		statement: func(s string) error { _, err := rules.ParseCommand(s); return err },
	}
}

func mysql() *dialect {
	return &dialect{
		file: "emqx_backend_mysql.conf", name: "mysql", prefixes: []string{"mysql"}, port: "3306",
		settings: secured(map[string]setting{
			"server": {"server", server}, "pool_size": {"pool_size", count}, "user": {"username", text}, "username": {"username", text},
			"password": {"password", text}, "database": {"database", text},
		}),
		functions: rules.SQLFunctions(), statement: sql(rules.Question),
	}
}

func postgres() *dialect {
	return &dialect{
		file: "emqx_backend_pgsql.conf", name: "postgres", prefixes: []string{"pgsql"}, port: "5432",
		settings: secured(map[string]setting{
			"server": {"server", servers}, "pool_size": {"pool_size", count}, "user": {"username", text}, "username": {"username", text},
			"password": {"password", text}, "database": {"database", text},
		}),
		functions: rules.SQLFunctions(), statement: sql(rules.Dollar),
	}
}

func mongodb() *dialect {
	return &dialect{
		file: "emqx_backend_mongo.conf", name: "mongodb", prefixes: []string{"mongo"}, port: "27017",
		settings: secured(map[string]setting{
			"type": {"type", text}, "rs_set_name": {"rs_set_name", text}, "server": {"server", servers}, "c_pool_size": {"pool_size", count},
			"pool_size": {"pool_size", count}, "database": {"database", text}, "login": {"username", text}, "username": {"username", text},
			"password": {"password", text}, "auth_source": {"auth_source", text}, "w_mode": {"w_mode", text}, "r_mode": {"r_mode", text},
		}),
		functions: rules.SQLFunctions(), finish: finishMongo,
		statement: func(s string) error {
			if !json.Valid([]byte(s)) {
				return errors.New("is no JSON document")
			}
			return nil
		},
	}
}

func cassandra() *dialect {
	return &dialect{
		// The servers stand below backend.ecql, the rest below backend.cassa. [A.6]
		file: "emqx_backend_cassa.conf", name: "cassandra", prefixes: []string{"cassa", "ecql"}, port: "9042",
		settings: secured(map[string]setting{
			"nodes": {"nodes", servers}, "server": {"nodes", servers}, "size": {"pool_size", count}, "pool_size": {"pool_size", count},
			"username": {"username", text}, "password": {"password", text}, "keyspace": {"keyspace", text},
		}),
		functions: rules.SQLFunctions(), statement: sql(rules.Question),
	}
}

func sql(placeholder func(int) string) func(string) error {
	return func(s string) error {
		t, err := rules.ParseTemplate(s)
		if err == nil {
			_, _, err = t.SQL(placeholder)
		}
		return err
	}
}
