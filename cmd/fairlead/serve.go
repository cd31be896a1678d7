package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	settings
	ephemeral bool
	readyFile string
	quiet     bool
}

func (t *terminal) serveCommand() *cobra.Command {
	o := &serveOptions{}
	c := &cobra.Command{
		Use:   "serve",
		Short: "run the gateway",
		Long: `Runs the gateway until SIGTERM or SIGINT. It needs no configuration: MQTT listens
on 127.0.0.1:1883, WebSocket on 127.0.0.1:8083, health, metrics and the REST API
on 127.0.0.1:18083, and data lies in ./fairlead-data.

The first SIGTERM or SIGINT tells the clients to leave and waits for them within
node.drain_timeout, the second ends at once; acknowledged messages are kept either
way. SIGHUP reads users, access rules and certificates anew, and says which other
changes of the configuration need a restart.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return t.serve(c.Context(), o) },
	}
	o.settings.flags(c)
	c.Flags().BoolVar(&o.ephemeral, "ephemeral", false, "listen on free ports of 127.0.0.1 and keep data in a temporary directory that is removed at the end; --set goes before")
	c.Flags().StringVar(&o.readyFile, "ready-file", "", "write pid, version and real addresses as JSON to this file once clients can connect; removed at the end")
	c.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "print no banner")
	return c
}

func (t *terminal) serve(ctx context.Context, o *serveOptions) (err error) {
	l, err := o.load()
	if err != nil {
		return err
	}
	if o.ephemeral {
		remove, err := makeEphemeral(l)
		if err != nil {
			return err
		}
		defer remove()
	}
	log, level := t.logger(&l.Log)
	if l.overlooked != "" {
		log.Warn("a configuration file in this folder is not read; name it by --config", "file", l.overlooked)
	}
	l.HashWorker = hashWorker
	g, err := fairlead.New(l.Config, log)
	if err != nil {
		return err
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &service{terminal: t, options: o, gateway: g, log: log, level: level}
	stop := s.obey(cancel)
	defer stop()
	announced := s.announceWhenReady(cancel)
	err = g.Run(ctx)
	cancel()
	return errors.Join(err, announced())
}

// service is a gateway under way.
type service struct {
	*terminal
	options *serveOptions
	gateway *fairlead.Gateway
	log     *slog.Logger
	level   *slog.LevelVar
}

// announceWhenReady writes banner and ready file once clients can connect; a
// ready file that cannot be written ends the gateway, as somebody waits for it.
// What it returns ends all that, and removes the file.
func (s *service) announceWhenReady(cancel context.CancelFunc) func() error {
	path := s.options.readyFile
	if path != "" {
		os.Remove(path) // of a run that was killed: it must not be believed
	}
	over, done := make(chan struct{}), make(chan error, 1)
	go func() {
		select {
		case <-s.gateway.Ready():
			useSpareProcessors()
			useShortSlices()
			err := s.announce(path)
			if err != nil {
				cancel()
			}
			done <- err
		case <-over:
			done <- nil
		}
	}()
	return func() error {
		close(over)
		err := <-done
		if path != "" {
			os.Remove(path)
		}
		return err
	}
}

func (s *service) announce(path string) error {
	// What is written to a pipe that nobody reads must not keep clients away.
	if !s.options.quiet {
		s.banner()
	}
	if path == "" {
		return nil
	}
	err := writeReadyFile(path, s.gateway)
	if err != nil {
		return fmt.Errorf("the ready file cannot be written: %w", err)
	}
	return nil
}
