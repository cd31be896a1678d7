package scenario

import "io"

// ProfileInfo is what a profile says of itself.
type ProfileInfo struct{ Name, Title, Description string }

// Load reads a scenario's file and puts the --set arguments (key=value) over it. The
// error is of type config.Faults and holds all that is wrong.
func Load(path string, sets []string) (*Scenario, error) {
	panic("scenario: work follows")
}

// Profile reads one of the scenarios that come with the program.
func Profile(name string, sets []string) (*Scenario, error) {
	panic("scenario: work follows")
}

// Profiles lists the scenarios that come with the program, by name.
func Profiles() []ProfileInfo {
	panic("scenario: work follows")
}

// Plan makes the schedule of all devices; the same seed gives the same. The error is
// of type config.Faults: the scenario was not loaded but made, and is not valid.
func (s *Scenario) Plan(seed uint64) (*Plan, error) {
	panic("scenario: work follows")
}

// Dump writes what the first devices do, up to so many actions of each, as a table for
// people; connections are taken to stand at once and never to break.
func (p *Plan) Dump(w io.Writer, devices, actions int) error {
	panic("scenario: work follows")
}
