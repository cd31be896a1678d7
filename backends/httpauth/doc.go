// Package httpauth takes identities from a server over HTTP, asked as EMQ X asks: who may
// log in (auth_req), who is a superuser (super_req), and what a client may do (acl_req),
// answered by a status code or in JSON.
//
// A [Source] is a [core.Authenticator] and, for those it has let in, a [core.Authorizer]. It
// fails closed: a server that is away, slow, points elsewhere or answers what cannot be
// understood lets nobody in. What a client says goes into the query, the form or the JSON as
// a value, escaped, and never into the host.
//
// Access is best told at login, as the list "acl" of the answer. With acl_req the server is
// asked about each topic: beside the traffic, never in its way. Answers are kept for
// Config.Refresh and renewed in the background; older than twice that they deny. Who may
// subscribe to a filter gets what it matches.
//
// Connections are kept and bounded, answers are bounded, redirects are not followed, and a
// server that failed some times in a row is left alone for a while, see [identity.Breaker].
package httpauth
