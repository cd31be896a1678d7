package main

import (
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/fairlead-iot/fairlead"
)

// logger writes to the standard error output. The level can be changed later.
func (t *terminal) logger(c *fairlead.LogConfig) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	setLevel(level, c.Level)
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" || c.Format == "auto" && !t.forPeople() {
		return slog.New(slog.NewJSONHandler(t.err, o)), level
	}
	return slog.New(slog.NewTextHandler(t.err, o)), level
}

// setLevel takes one of the names that the configuration allows.
func setLevel(v *slog.LevelVar, name string) {
	var level slog.Level
	if level.UnmarshalText([]byte(name)) == nil {
		v.Set(level)
	}
}

// forPeople tells whether the standard error output is a terminal.
func (t *terminal) forPeople() bool {
	f, ok := t.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
