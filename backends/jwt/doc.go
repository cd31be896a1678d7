// Package jwt takes identities from JSON Web Tokens (RFC 7519) that clients show in place
// of a password, signed by keys that the configuration names or that a URL gives (RFC 7517).
//
// A [Source] is a [core.Authenticator] and, for those whose token brings access rules, a
// [core.Authorizer]. What a token says counts only if its signature is right by a key that
// is for the token's algorithm: a public key never checks an HMAC, "none" is no algorithm,
// and a key that the token itself brings or points to (jwk, jku, x5c, x5u) is never used.
// It fails closed: without keys nobody gets in.
//
// Keys of a URL are fetched when they are needed and too old, by one goroutine at a time;
// the answer's size, the number of keys and the rate of asking are bounded. While the URL is
// away the old keys hold, up to Config.JWKSKeep.
package jwt
