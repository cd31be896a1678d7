package packet

// Limits bound what one packet may make the decoder accept, beyond what its length already does. A zero field means
// the default; a nil *Limits means all of them.
type Limits struct {
	// PropertyBytes bounds one property block (a CONNECT has two). Default 8192: room for a correlation id, a response
	// topic and the usual tracing headers, small enough to keep with every queued message.
	PropertyBytes int
	// UserProperties bounds the pairs in one property block. Default 64.
	UserProperties int
	// Filters bounds the topic filters of one SUBSCRIBE or UNSUBSCRIBE, and the codes of one SUBACK or UNSUBACK.
	// Default 1024.
	Filters int
}

// DefaultLimits gives the bounds that hold where a field is zero.
func DefaultLimits() Limits {
	return Limits{PropertyBytes: 8192, UserProperties: 64, Filters: 1024}
}

func (l *Limits) propertyBytes() int {
	if l == nil || l.PropertyBytes == 0 {
		return DefaultLimits().PropertyBytes
	}
	return l.PropertyBytes
}

func (l *Limits) userProperties() int {
	if l == nil || l.UserProperties == 0 {
		return DefaultLimits().UserProperties
	}
	return l.UserProperties
}

func (l *Limits) filters() int {
	if l == nil || l.Filters == 0 {
		return DefaultLimits().Filters
	}
	return l.Filters
}
