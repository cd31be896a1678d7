package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/internal/config"
)

// TestSampleFile: the sample at the repository's root is what the program says.
func TestSampleFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "fairlead.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(sample()), string(text)); diff != "" {
		t.Errorf("write it with: go run ./cmd/fairlead config sample >fairlead.toml\n%s", diff)
	}
}

// TestSampleMeansTheDefaults: loading the sample changes nothing.
func TestSampleMeansTheDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sample.toml")
	if err := os.WriteFile(path, sample(), 0o600); err != nil {
		t.Fatal(err)
	}
	c, want := fairlead.DefaultConfig(), fairlead.DefaultConfig()
	if err := config.Load(&c, config.Options{Path: path}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Describe(&want), config.Describe(&c)); diff != "" {
		t.Error(diff)
	}
}
