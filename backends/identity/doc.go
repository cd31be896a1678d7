// Package identity takes identities from a database that somebody has: who may log in,
// with passwords hashed in whichever way they are there, who is a superuser, and access
// rules, by the documented tables mqtt_user and mqtt_acl of EMQ X 2.4 (in Redis keys, in
// MongoDB collections of these names) or by queries of the user's own.
//
// A [Source] is a [core.Authenticator] and, for those it has let in, a [core.Authorizer].
// It fails closed: what cannot be asked, or understood, lets nobody in. Access rules are
// read at login, and by [Source.Run] again when they are older than Config.Refresh; older
// than twice that they hold no more.
//
// Hashes that are meant to cost something are made by Config.Hashes, which may have them made
// by processes apart; an unknown user costs the hash that a known one does.
//
// A Source keeps nothing of a client but what the client's [core.Grant] holds: its access
// rules are gone with the session.
//
// What a query binds is bound, see [rules.Template].
package identity
