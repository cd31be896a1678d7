// Package config loads one strict TOML file, the environment and --set
// arguments into a struct that is made of each package's own Config.
//
// The package knows no setting by name: it reads the struct by reflection and
// imports nothing of ours, so a new setting is a field with a tag and nothing
// else. It keeps no state; Load and the other functions may be called from
// anywhere, but two Loads into one struct must not run at once.
//
// # Layers
//
// What the struct holds before Load is the default. Above it lies the file,
// above that the environment (FAIRLEAD_SECTION_KEY), on top --set
// section.key=value. A list is replaced as a whole, a table is merged key by
// key.
//
// # Fields
//
// The key of a field is its toml tag, or else its name in snake_case; "-"
// leaves a field out, as do functions, channels and interfaces. Embedded
// structs lie flat in their parent. A map with text keys is a table of
// tables, [listeners.NAME]; an element that is new begins with what its
// SetDefaults(name) gives it (see Defaulter). Further tags:
//
//	doc:"…"         the comment in the sample file and in Describe
//	unit:"bytes"    a whole number that is also written "64KiB" or "1MB"
//	secret:"true"   never shown; x_file names a file that holds it
//	oneof:"a,b"     the only texts allowed
//
// A time.Duration is written "1m30s" or "7d". Types with UnmarshalText read
// their own texts.
//
// # Faults
//
// Load finds all faults before it returns and says for each where it is (file
// with row and column, the variable, the argument), which key, what is wrong
// and, where it can tell, which key was meant. At last every struct inside
// that has Validate() error is asked; a Validate speaks for its own fields
// only, as the structs inside it are asked too, and begins each fault with the
// key: "max_queued: must be at least 1".
package config
