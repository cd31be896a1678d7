// Package hashes makes the hashes of passwords that are meant to cost something: argon2id,
// bcrypt and PBKDF2, for all sources of identities of a gateway.
//
// A [Request] says what a hash is made of, but for the password. It never says which hash
// would be the right one: who asked compares.
//
// # Hashes made apart
//
// A hash of 19 MiB is garbage as soon as it is compared, and 20 to 50 ms are long for
// a scheduler: a process that serves clients, too, notices who guesses. [Workers] have
// hashes made by processes of their own, which call [Work]. They are asked over pipes, one
// hash at a time. Each answer has a sum of what was asked, and where there is none that fits, in
// time, the hash is made in this process: whatever becomes of a process, the verdict is
// the right one.
//
// # How many at once
//
// A [Maker] bounds the hashes under way, apart or not: they take processors and memory from
// those who are in already. The sources of a gateway that are asked about clients have one
// Maker in common; its administrators have another, so that they need not wait behind
// clients who guess. All share one set of Workers.
//
// # Who owns what
//
// [Workers] own their processes, and belong to who made them. A Maker owns its slots.
package hashes
