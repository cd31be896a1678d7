// Package ldap takes identities from a directory (RFC 4511): users prove themselves by their
// own bind, or by a password that stands in their entry, and the entry says by the
// attributes of EMQ X (mqttUser) what they may do.
//
// A [Source] is a [core.Authenticator] and, for those it has let in whose entry names
// topics, a [core.Authorizer]. It fails closed: a directory that does not answer, an entry
// that cannot be read or found twice, a password in a scheme that is not known let nobody
// in. What a client says becomes a value in a filter or a DN, escaped, and nothing else.
//
// The source keeps up to Config.PoolSize connections for itself and as many for the binds
// of users. Passwords that stand in entries as bcrypt or argon2id are hashed by Config.Hashes.
// Each operation has a deadline; after failures in a row the directory is left
// alone for a while, see [identity.Breaker].
package ldap
