package main

import (
	"encoding/json"
	"errors"
	"os"

	"github.com/fairlead-iot/fairlead"
)

// readiness is the content of the ready file.
type readiness struct {
	PID       int               `json:"pid"`
	Version   string            `json:"version"`
	Listeners map[string]string `json:"listeners"` // real addresses by name
	Admin     string            `json:"admin"`     // "" when it is off
	DataDir   string            `json:"data_dir"`
}

// writeReadyFile writes the file so that a reader sees all of it or none.
func writeReadyFile(path string, g *fairlead.Gateway) error {
	text, err := json.MarshalIndent(readiness{
		PID: os.Getpid(), Version: fairlead.Version().Version,
		Listeners: g.Addresses(), Admin: g.AdminAddress(), DataDir: g.DataDir(),
	}, "", "  ")
	if err != nil {
		return err
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return nil
}
