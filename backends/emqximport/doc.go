// Package emqximport reads the configuration of EMQ X Enterprise 2.4 and 3.x, emqx.conf and the
// files of its plugins, and gives the sections of our configuration for it.
//
// It is pure: texts in, sections and notes out. It keeps no state, and connects to and
// opens nothing. What has no place here is never dropped in silence: there is a Note for
// it with file, line, key, why, and what to do. A Note holds no value of a setting that may be
// a password.
//
// The words are those of EMQ X: a key is backend.DATABASE.POOL.SETTING for a pool, and
// backend.DATABASE.hook.HOOK.N for a rule, whose value is a JSON object.
package emqximport
