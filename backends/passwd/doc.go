// Package passwd authenticates clients against a file of users whose passwords
// are hashed with argon2id, and edits such files for the command
// `fairlead passwd`.
//
// # The file
//
// One user a line; a line that begins with '#' is a comment; nothing else is
// allowed, not even an empty line, so that a file damaged half-way is noticed
// rather than read as fewer users or as users without a password:
//
//	# who may connect
//	alice:$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH
//	sensor-7:$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH:client_id=sensor-7
//	ops:$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH:superuser
//
// After the hash may stand attributes, separated by commas: superuser (passes
// every access rule) and client_id=ID (the only ClientID this user may use). In
// an ID, ',' and '%' and control characters are written %XX. A faulty file is
// refused as a whole, with every fault and its line. Faults never show what
// stands in the place of a hash: it may be somebody's password.
//
// # SCRAM
//
// Two more attributes hold what SCRAM needs of the same password:
// scram-sha-256=ITERATIONS$SALT$STOREDKEY$SERVERKEY and scram-sha-512 alike, in base64
// without padding. Who has none cannot use the method and looks like a user who does
// not exist: both are asked with a salt made of their name and a key that stands in
// the file itself, in a comment "#scram-salt-key …", so that the salt is the same
// after every edit, restart, and on every node that has the file. A proof that fits
// nobody's keys is refused after the same work.
//
// With the keys, whoever steals the file can guess at the password for the cost of
// PBKDF2 instead of argon2id, which a graphics card computes thousands of times
// faster. That is the price of never sending the password.
//
// # What an attacker gets
//
// An unknown user costs the same hash work as a known one with a wrong
// password, with parameters that the file uses. Work and memory of one hash are
// bounded when the file is read (see [Params]), passwords when they are checked
// ([MaxPassword]), and hashes under way at once by the number of processors
// ([hashes.Maker], which may have them made by processes apart).
//
// # Reconnect storms
//
// After a gateway restarts, a hundred thousand devices come back at once, and
// 20 to 50 ms of hash work each would keep them waiting for most of an hour. So, unless
// switched off, a [Source] remembers for each user the password that passed
// last: not the password but its HMAC-SHA256 (with the user's name and stored
// hash) under a random key that lives in this process only and is replaced at
// every reload. A repeated login then costs a few microseconds; a wrong
// password always costs a full hash. The price: who can read the memory of the
// process can try passwords faster than argon2id allows. There is one such
// value a user, so the memory is bounded by the file.
//
// # Who owns what
//
// A [Source] owns one immutable set of users behind an atomic pointer;
// [Source.Reload] replaces it. The editing functions hold no state.
package passwd
