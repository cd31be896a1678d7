package scenario

import "github.com/fairlead-iot/fairlead/internal/config"

// Text is the scenario as a file would have it, every key with the value that holds,
// passwords left out.
func (s *Scenario) Text() string { return string(config.Marshal(s)) }
