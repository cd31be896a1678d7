package devices

import (
	"context"
	"errors"
	"fmt"

	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// prove puts the method's first message into a CONNECT in place of user name and
// password.
func (c *Client) prove(id *machine.Identity) error {
	o := &c.opt
	if o.Version != packet.V5 {
		return fmt.Errorf("authentication by %s needs MQTT 5", o.AuthMethod)
	}
	s, first, err := newScram(o.AuthMethod, o.Username, o.Password)
	if err != nil {
		return err
	}
	c.scram = s
	id.HasUsername, id.HasPassword, id.Username, id.Password = false, false, nil, nil
	id.Method, id.Data = []byte(o.AuthMethod), []byte(first)
	return nil
}

// Challenged takes a step of an authentication.
func (e *events) Challenged(p *packet.Auth) ([]byte, error) {
	if e.scram == nil || string(p.Properties.AuthenticationMethod) != e.opt.AuthMethod && p.Reason != packet.ReasonSuccess {
		return nil, fmt.Errorf("%w: %w", errNotAsked, packet.ErrProtocol)
	}
	data := p.Properties.AuthenticationData
	if p.Reason == packet.ReasonContinueAuthentication {
		answer, err := e.scram.answer(string(data))
		return []byte(answer), err
	}
	if e.renewal == nil {
		return nil, fmt.Errorf("%w: %w", errNotAsked, packet.ErrProtocol)
	}
	err := e.scram.verify(data)
	e.renewal <- err
	e.renewal = nil
	return nil, err
}

// ErrAuthenticating: a Reauthenticate is under way already.
var ErrAuthenticating = errors.New("an authentication is under way")

// Reauthenticate proves user name and password anew on the open connection, by the
// method that Dial used, and waits for the server's yes. A server that refuses ends the
// connection. One call at a time; when ctx ends first, the exchange goes on.
func (c *Client) Reauthenticate(ctx context.Context) error {
	done, err := c.beginRenewal()
	if err != nil {
		return fmt.Errorf("authenticate again: %w", err)
	}
	select {
	case err = <-done:
		return err
	case <-c.done:
		return c.overErr()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beginRenewal sends the first step.
func (c *Client) beginRenewal() (<-chan error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended || c.closing:
		return nil, c.overLocked()
	case c.opt.AuthMethod == "":
		return nil, errors.New("the connection was made without an authentication method")
	case c.renewal != nil:
		return nil, ErrAuthenticating
	}
	s, first, err := newScram(c.opt.AuthMethod, c.opt.Username, c.opt.Password)
	if err != nil {
		return nil, err
	}
	c.tick()
	if err := c.machine.Reauthenticate(&c.turn, []byte(c.opt.AuthMethod), []byte(first)); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	c.scram, c.renewal = s, done
	c.flush()
	return done, nil
}
