package main

import (
	"bufio"
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead/devices"
)

// subOptions are the flags of sub.
type subOptions struct {
	connection
	topics       []string
	qos          uint8
	count        int
	timeout      string
	format       string
	noNewline    bool
	retainedOnly bool
	noRetained   bool
	once         bool
}

func (t *terminal) subCommand() *cobra.Command {
	o := &subOptions{}
	c := &cobra.Command{
		Use:   "sub -t FILTER…",
		Short: "subscribe and print messages",
		Long: `Subscribes and prints each message to the standard output, until --count messages
came, --timeout is over, or a signal ends it. A message is acknowledged after it
was printed. A connection that is lost is made anew.

` + sensorHelp() + "\n" + exitHelp(),
		Example: `  fairlead sub -t 'hello/#' -v
  fairlead sub -t sensors/+/temperature -F json
  fairlead sub -t reply/1 -C 1 -W 5            one message, within five seconds
  fairlead sub -i logger -c -q 1 -t 'log/#'    keeps its place while it is away`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f := c.Flags()
			if err := errors.Join(onlyOne(f, "retained-only", "no-retained"), contradictions(f), sayable(f, o.url)); err != nil {
				return err
			}
			return t.sub(o)
		},
	}
	f := c.Flags()
	f.StringArrayVarP(&o.topics, "topic", "t", nil, "topic filter; may be given many times")
	f.Uint8VarP(&o.qos, "qos", "q", 0, "highest quality of service: 0, 1 or 2")
	f.IntVarP(&o.count, "count", "C", 0, "end after this many messages")
	f.StringVarP(&o.timeout, "timeout", "W", "", "end after this time: 10, 1m30s")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print the topic before the message")
	f.StringVarP(&o.format, "format", "F", "text", "text, or json: one object a line with all that is known")
	f.BoolVarP(&o.noNewline, "no-newline", "N", false, "print no line end after a message")
	f.BoolVar(&o.retainedOnly, "retained-only", false, "print retained messages only, and end when the server has sent them")
	f.BoolVarP(&o.noRetained, "no-retained", "R", false, "do not print retained messages")
	f.BoolVar(&o.once, "no-reconnect", false, "end when the connection is lost")
	o.connection.flags(c)
	return c
}

func (o *subOptions) check() error {
	switch {
	case len(o.topics) == 0:
		return hint(usagef("no topic filter was given"), "name one with --topic, such as 'sensors/#'")
	case o.qos > 2:
		return usagef("--qos %d: there are 0, 1 and 2", o.qos)
	case o.count < 0:
		return usagef("--count %d: must not be negative", o.count)
	case o.format != "text" && o.format != "json":
		return usagef("--format %q: there are text and json", o.format)
	}
	return nil
}

func (t *terminal) sub(o *subOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	opts, err := o.options(t)
	if err != nil {
		return err
	}
	opts.ManualAck = true
	address, err := o.address()
	if err != nil {
		return err
	}
	ctx, cancel, err := within(o.timeout)
	if err != nil {
		return err
	}
	defer cancel()
	s := &subscriber{terminal: t, options: o, address: address, dial: opts, out: bufio.NewWriter(t.out)}
	err = s.run(ctx)
	if errors.Is(context.Cause(ctx), errTimeout) && (err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err())) {
		if o.count > 0 && s.printed < o.count {
			return hint(errTimeout, plural(s.printed)+" came")
		}
		return nil
	}
	return timedOut(ctx, err)
}

// subscriber is one sub under way.
type subscriber struct {
	*terminal
	options *subOptions
	address string
	dial    devices.Options
	out     *bufio.Writer
	printed int
}

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// run connects, and again when the connection is lost after it was there.
func (s *subscriber) run(ctx context.Context) error {
	retry := firstRetry
	for first := true; ; first = false {
		c, err := s.connect(ctx)
		if err == nil {
			first, retry = false, firstRetry
			s.dial.Session = c.Session()
			err = s.receive(ctx, c)
			if !lost(err) || s.options.once {
				return err
			}
		} else if first || exitCode(err) != exitConnect {
			return err
		}
		s.say(&s.options.connection, "%s; trying again in %s", err, retry)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

// lost tells whether another connection may help.
func lost(err error) bool { return exitCode(err) == exitConnect }

func (s *subscriber) connect(ctx context.Context) (client, error) {
	c, err := dial(ctx, s.address, s.dial)
	if err == nil && s.options.verbose {
		s.say(&s.options.connection, "connected to %s as %q", s.address, c.Accepted().ClientID)
	}
	return c, err
}

// subscribe asks for the filters beside the printing: the messages of a session
// that was kept come before the server's answer, and must be taken for the answer
// to be read.
func (s *subscriber) subscribe(ctx context.Context, c client) <-chan error {
	var subs []devices.Subscription
	for _, filter := range s.options.topics {
		sub := devices.Subscription{Filter: filter, QoS: s.options.qos}
		if s.options.noRetained && sensorScheme(s.address) == "" {
			sub.RetainHandling = 2
		}
		subs = append(subs, sub)
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.Subscribe(ctx, 0, subs...)
		done <- err
	}()
	return done
}

// receive prints until the end. Leaving in order discards the Will.
func (s *subscriber) receive(ctx context.Context, c client) error {
	err := s.printAll(ctx, c)
	if lost(err) {
		c.Close()
		return err
	}
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if gone := c.Disconnect(leave); gone != nil && err == nil && !errors.Is(gone, devices.ErrClosed) {
		return nil // all that was asked for was printed
	}
	return err
}

// quiet is how long no retained message may come until --retained-only ends.
const quiet = 500 * time.Millisecond

func (s *subscriber) printAll(ctx context.Context, c client) error {
	subscribed := s.subscribe(ctx, c)
	var silence <-chan time.Time
	for {
		if s.options.retainedOnly && subscribed == nil {
			silence = time.After(quiet)
		}
		select {
		case err := <-subscribed:
			if err != nil {
				return err
			}
			subscribed = nil
		case m, ok := <-c.Messages():
			if !ok {
				return c.Err()
			}
			if done, err := s.take(m, len(c.Messages()) == 0); done || err != nil {
				return err
			}
		case <-silence:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take prints one message and acknowledges it.
func (s *subscriber) take(m *devices.Message, last bool) (done bool, err error) {
	wanted := m.Retain && !s.options.noRetained || !m.Retain && !s.options.retainedOnly
	if wanted {
		if err := s.print(m); err != nil {
			return true, err
		}
		s.printed++
		done = s.options.count > 0 && s.printed >= s.options.count
	}
	if last || done || m.QoS > 0 { // who reads it sees it now; and only then it is acknowledged
		if err := s.out.Flush(); err != nil {
			return true, err
		}
	}
	return done, m.Ack()
}
