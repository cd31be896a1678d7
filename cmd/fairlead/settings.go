package main

import (
	"bytes"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/internal/config"
)

const (
	envPrefix = "FAIRLEAD"
	envConfig = "FAIRLEAD_CONFIG" // names the file, as --config does
)

// settings says where the configuration comes from.
type settings struct {
	path string
	sets []string
}

func (s *settings) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.path, "config", os.Getenv(envConfig), "configuration file (TOML); none means the defaults ($"+envConfig+")")
	c.Flags().StringArrayVar(&s.sets, "set", nil, "set one key, such as --set listeners.mqtt.address=127.0.0.1:21883; may be given many times")
}

// loaded is a configuration and where its keys were given.
type loaded struct {
	fairlead.Config
	origins map[string]string // by dotted key
	// overlooked is a file that looks as if it were meant, and was not named; "" for none.
	overlooked string
}

// usualFile is what people call the configuration.
const usualFile = "fairlead.toml"

// overlooks finds a file of the usual name in the folder of the call.
func (s *settings) overlooks() string {
	if s.path != "" {
		return ""
	}
	// The sample, as it lies in a checkout, would change nothing.
	text, err := os.ReadFile(usualFile)
	if err != nil || bytes.Equal(text, sample()) {
		return ""
	}
	return usualFile
}

// load reads file, environment and arguments; the error lists all faults.
func (s *settings) load() (*loaded, error) {
	l := &loaded{Config: fairlead.DefaultConfig(), origins: map[string]string{}, overlooked: s.overlooks()}
	err := config.Load(&l.Config, config.Options{
		Path: s.path, Sets: s.sets, Env: os.Environ(), Prefix: envPrefix, Ignore: []string{envConfig},
		Origin: func(key, where string) { l.origins[key] = where },
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// commanded tells whether a key was given on the command line.
func (l *loaded) commanded(key string) bool { return strings.HasPrefix(l.origins[key], "--set ") }
