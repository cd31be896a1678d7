package scenario

// template is a text with placeholders, taken apart once.
type template struct{}

// moment is what a template may need besides the device.
type moment struct{}

func (t *template) appendTo(b []byte, d Device, m *moment) []byte {
	panic("scenario: work follows")
}

// groupTexts are the templates of a group.
type groupTexts struct{ clientID, username, password *template }

// streamTexts are the templates of a stream.
type streamTexts struct{}
