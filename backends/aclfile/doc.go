// Package aclfile decides from a file of rules who may publish and subscribe
// to what. The guide for its users is docs/acl.md; this is the exact account.
//
// # The language
//
// One rule a line; the first rule that answers decides; what no rule answers
// is left to the next source, and denied when there is none. A line whose first
// character is '#' is a comment, an empty line means nothing.
//
//	RULE    = ("allow" | "deny") SUBJECT ACTION TOPIC...
//	SUBJECT = "all" | CLAUSE ["and"] CLAUSE ...          all clauses must hold
//	CLAUSE  = "user" NAME | "client" NAME | "listener" NAME | "anonymous"
//	        | "address" (IP | CIDR | "loopback" | "none")
//	ACTION  = "publish" | "subscribe" | "pubsub"
//	TOPIC   = FILTER | "eq" FILTER
//
// Words are separated by blanks. A word in "double quotes" may hold blanks and
// is never a keyword; \" and \\ stand for '"' and '\'. A NAME that ends in '*'
// without quotes stands for every name that begins so; "user *" is everyone who
// has proven a user name. Address none is a peer without network address (a
// Unix socket).
//
// In a FILTER, %c stands for the client's id and %u for its user name. A value
// that is empty or holds '/', '+' or '#' makes the topic match nothing, as does
// one that begins with '$' at the beginning of the topic; in a deny rule that
// means the rule does not apply. A leading wildcard never matches a topic that
// begins with '$': only a rule that spells that level does. After eq the text
// is compared with what a client asks for, byte by byte: "eq #" means the
// subscription to '#', not every topic. It stops the careless, not the
// determined ('+/#' says the same), so eq with a wildcard is allowed in deny
// rules only.
//
// Because '#' is a topic, there are no comments at the end of a line, and a bare
// '#' must be the only topic of its rule.
//
// # What is asked, and the answers
//
//   - Publish: the first rule for publish that matches the Topic Name.
//   - Deliver: the first rule for subscribe that matches the Topic Name.
//   - Subscribe: the first rule for subscribe that covers the whole Topic
//     Filter. A rule that only overlaps it is passed over: an allow since it
//     does not suffice, a deny since the deliveries are checked one by one.
//   - Covers: Deny if the subscription is denied. Allow if it is allowed and no
//     deny that overlaps stands before the rule that allows it. Else Ignore:
//     core then asks about each delivery.
//
// So whatever reaches a subscriber is a topic that the rules for subscribe allow
// by name. oracle_test.go holds this against a naive evaluator.
//
// # Faults
//
// A file is taken as a whole or not at all: the error lists every fault with
// file:line:column, the word, and the word that was probably meant.
//
// # Who owns what
//
// [Rules] are immutable. A [Source] owns the present ones behind an atomic
// pointer; [Source.Reload] replaces them and raises the version. Questions
// allocate nothing and take no lock. Rules for one user or one client are found
// by its name, so that a file with a rule for each device stays fast.
package aclfile
