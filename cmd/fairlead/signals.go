package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// obey carries out signals until stop is called. cancel ends the gateway.
func (s *service) obey(cancel context.CancelFunc) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	over := make(chan struct{})
	go func() {
		asked := false
		for {
			select {
			case <-over:
				return
			case sig := <-signals:
				switch {
				case sig == syscall.SIGHUP:
					s.reload()
				case !asked:
					asked = true
					s.log.Info("asked to stop; the same signal again ends at once", "signal", sig.String())
					cancel()
				default:
					s.log.Warn("ending at once", "signal", sig.String())
					s.gateway.Hurry()
					signal.Reset(syscall.SIGINT, syscall.SIGTERM) // the third one is the system's
				}
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(over)
	}
}

// reload reads anew what can be read anew, and says what cannot.
func (s *service) reload() {
	l, err := s.options.load()
	if err != nil {
		s.log.Error("reload: the configuration is faulty; all stays as it was", "error", strings.Join(explain(err), "; "))
		return
	}
	if s.options.ephemeral {
		s.stayWhereWeAre(l)
	}
	setLevel(s.level, l.Log.Level)
	r, err := s.gateway.Reload(l.Config)
	s.log.Info("reloaded", "read", append(r.Done, "log level"))
	if err != nil {
		s.log.Error("reload: what is faulty stays as it was", "error", strings.Join(explain(err), "; "))
	}
	restart := slices.DeleteFunc(r.Restart, func(key string) bool { return key == "log.level" })
	if len(restart) > 0 {
		s.log.Warn("reload: these changes need a restart", "keys", restart)
	}
}

// stayWhereWeAre keeps addresses and directory that --ephemeral has chosen from
// looking like changes.
func (s *service) stayWhereWeAre(l *loaded) {
	c := s.gateway.Config()
	l.Node.DataDir, l.Store.Path, l.Admin.Address = c.Node.DataDir, c.Store.Path, c.Admin.Address
	for name, running := range c.ActiveListeners() {
		if a := l.ActiveListeners()[name]; a != nil {
			a.Address = running.Address
			l.Listeners[name] = a
		}
	}
}
