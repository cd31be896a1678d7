package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// pubOptions are the flags of pub.
type pubOptions struct {
	connection
	topic, message, file string
	stdin, lines, null   bool
	qos                  uint8
	retain               bool
	timeout              string
	hasMessage           bool
}

func (t *terminal) pubCommand() *cobra.Command {
	o := &pubOptions{}
	c := &cobra.Command{
		Use:   "pub -t TOPIC (-m MESSAGE | -f FILE | -s | -l | -n)",
		Short: "publish messages",
		Long: `Publishes one message, or one for each line of the standard input. At QoS 1 and 2
it waits until the server has acknowledged everything, and fails where the server
refuses. At QoS 0 MQTT has no answer: a refusal shows in fairlead's explain
records only.

` + sensorHelp() + "\n" + exitHelp(),
		Example: `  fairlead pub -t hello/world -m 'good morning'
  fairlead pub -L mqtts://gw.example -u alice --password-file pw -t cmd -q 1 -f image.bin
  tail -f log | fairlead pub -t log/lines -q 1 -l`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f := c.Flags()
			o.hasMessage = f.Changed("message")
			if err := errors.Join(onlyOne(f, "message", "file", "stdin-file", "stdin-line", "null-message"), contradictions(f), sayable(f, o.url)); err != nil {
				return err
			}
			return t.pub(o)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.topic, "topic", "t", "", "topic to publish to")
	f.StringVarP(&o.message, "message", "m", "", "the message")
	f.StringVarP(&o.file, "file", "f", "", "the message is the content of this file")
	f.BoolVarP(&o.stdin, "stdin-file", "s", false, "the message is the whole standard input")
	f.BoolVarP(&o.lines, "stdin-line", "l", false, "each line of the standard input is a message")
	f.BoolVarP(&o.null, "null-message", "n", false, "the message is empty; with -r it clears what is retained")
	f.Uint8VarP(&o.qos, "qos", "q", 0, "quality of service: 0, 1 or 2")
	f.BoolVarP(&o.retain, "retain", "r", false, "the server keeps the message for later subscribers")
	f.StringVarP(&o.timeout, "timeout", "W", "", "give up after this time: 10, 1m30s")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say what was sent and how it was answered")
	o.connection.flags(c)
	return c
}

func (o *pubOptions) check() error {
	switch {
	case o.topic == "":
		return hint(usagef("no topic was given"), "name one with --topic")
	case o.qos > 2:
		return usagef("--qos %d: there are 0, 1 and 2", o.qos)
	case !o.hasMessage && o.file == "" && !o.stdin && !o.lines && !o.null:
		return hint(usageError{errNoMessage}, "give --message TEXT, --file FILE, --stdin-file, --stdin-line or --null-message")
	}
	return nil
}

func (t *terminal) pub(o *pubOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	m := devices.Message{Topic: o.topic, QoS: o.qos, Retain: o.retain}
	if err := applyProperties(o.properties, "publish", &m); err != nil {
		return err
	}
	opts, err := o.options(t)
	if err != nil {
		return err
	}
	address, err := o.address()
	if err != nil {
		return err
	}
	next, err := t.messages(o)
	if err != nil {
		return err
	}
	ctx, cancel, err := within(o.timeout)
	if err != nil {
		return err
	}
	defer cancel()
	c, err := dial(ctx, address, opts)
	if err != nil {
		return timedOut(ctx, err)
	}
	p := &publisher{terminal: t, options: o, client: c, like: m}
	if err := p.publishAll(ctx, next); err != nil {
		c.Close()
		return timedOut(ctx, err)
	}
	return timedOut(ctx, c.Disconnect(ctx))
}

// within gives a context that ends with the time, if one is given, or with a
// signal.
func within(timeout string) (context.Context, context.CancelFunc, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	if timeout == "" {
		return ctx, stop, nil
	}
	seconds, err := parseExpiry(timeout)
	if err != nil || seconds == 0 {
		stop()
		return nil, nil, usagef("--timeout %q: write seconds or 1m30s, more than 0", timeout)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(seconds)*time.Second, errTimeout)
	return ctx, func() { cancel(); stop() }, nil
}

// timedOut says so where it is the time that ended the work.
func timedOut(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(ctx), errTimeout):
		return fmt.Errorf("%w: %w", errTimeout, err)
	case ctx.Err() != nil: // a signal: an orderly end
		return context.Canceled
	}
	return err
}

// publisher publishes what it is given.
type publisher struct {
	*terminal
	options *pubOptions
	client  client
	like    devices.Message // topic, flags and properties of each message
}

// underWay is one message that waits for its acknowledgement.
type underWay struct {
	pending *devices.Pending
	size    int
}

// publishAll sends without waiting, as far as the server's window allows, and
// reads the answers beside.
func (p *publisher) publishAll(ctx context.Context, next source) error {
	waiting := make(chan underWay, 1024)
	answered := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		err := p.await(ctx, waiting)
		if err != nil {
			cancel(err)
		}
		answered <- err
	}()
	err := p.sendAll(ctx, next, waiting)
	close(waiting)
	if refused := <-answered; refused != nil {
		return refused
	}
	return err
}

func (p *publisher) sendAll(ctx context.Context, next source, waiting chan<- underWay) error {
	for {
		payload, ok, err := next(ctx)
		if err != nil || !ok {
			return err
		}
		m := p.like
		m.Payload = payload
		pending, err := p.client.Send(ctx, &m)
		if err != nil {
			return err
		}
		if pending == nil {
			p.tell(len(payload), packet.ReasonSuccess)
			continue
		}
		select {
		case waiting <- underWay{pending, len(payload)}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// await reads the answers; the first refusal ends it.
func (p *publisher) await(ctx context.Context, waiting <-chan underWay) error {
	for w := range waiting {
		code, err := p.client.Wait(ctx, w.pending)
		if err != nil {
			for range waiting { // the sender ends soon, by ctx
			}
			return err
		}
		p.tell(w.size, code)
	}
	return nil
}

func (p *publisher) tell(size int, code packet.ReasonCode) {
	if !p.options.verbose {
		return
	}
	how := "sent"
	switch {
	case p.like.QoS > 0 && code == packet.ReasonNoMatchingSubscribers:
		how = "acknowledged, nobody subscribes to it"
	case p.like.QoS > 0:
		how = "acknowledged"
	}
	p.say(&p.options.connection, "%s: %d bytes at QoS %d %s", p.like.Topic, size, p.like.QoS, how)
}
