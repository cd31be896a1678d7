package topic

// Error is a fault in a topic. The values below are all there are, so that a
// caller may branch on them with errors.Is or by comparison.
type Error string

// Error returns the fault in words, lower case, with the package's name.
func (e Error) Error() string { return string(e) }

// The faults a Topic Name, a Topic Filter or a prefix can have.
const (
	ErrEmpty            Error = "topic: is empty"
	ErrTooLong          Error = "topic: is longer than the limit"
	ErrTooManyLevels    Error = "topic: has more levels than the limit"
	ErrUTF8             Error = "topic: is not well-formed UTF-8"
	ErrNull             Error = "topic: holds the null character U+0000"
	ErrWildcard         Error = "topic: name holds a wildcard, '+' or '#'"
	ErrWildcardPosition Error = "topic: '+' must fill a whole level, '#' a whole level at the end"
	ErrSharePrefix      Error = "topic: $share needs a group name without '+' and '#', a '/' and a filter"
	ErrRepeatedPrefix   Error = "topic: a prefix stands there twice"
	ErrDelay            Error = "topic: $delayed needs whole seconds, a '/' and a topic name"
	ErrDelayTooLong     Error = "topic: $delayed takes at most 4294967 seconds"
)
