package exproto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

const (
	// helloTime is how long a handler may take to begin.
	helloTime = 10 * time.Second
	// firstRetry is the pause after the first attempt that failed; each next one is twice
	// as long, up to retry_max.
	firstRetry = 100 * time.Millisecond
	// messageSpace is what a message from the handler may have beside the largest packet.
	messageSpace = 4 << 20
)

// keep has a stream for l whenever the handler is there, until ctx ends.
func (k *link) keep(ctx context.Context, l *lane) {
	defer l.expel()
	turn := k.gw.NewTurn()
	defer turn.Close()
	held := time.AfterFunc(k.cfg.Hold, l.expel)
	defer held.Stop()
	for pause := firstRetry; ; pause = min(2*pause, k.cfg.RetryMax) {
		began, err := k.serve(ctx, l, turn, held)
		if ctx.Err() != nil {
			l.fall("the gateway ends")
			return
		}
		why := told(err)
		l.fall(why)
		if began {
			held.Reset(k.cfg.Hold)
			pause = firstRetry
		}
		k.log.Warn("the handler is away", "reason", why, "next_attempt", pause.String(), "clients_held", k.cfg.Hold > 0)
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2+1)):
		}
	}
}

// told puts an error in words for people.
func told(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

// serve has one stream from begin to end. began says that the handler was there.
func (k *link) serve(ctx context.Context, l *lane, t *core.Turn, held *time.Timer) (began bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c, err := k.connect()
	if err != nil {
		return false, err
	}
	defer c.Close()
	late := time.AfterFunc(helloTime, func() { cancel(fmt.Errorf("no hello within %s", helloTime)) })
	defer late.Stop()
	s, err := pb.NewHandlerClient(c).Serve(ctx)
	if err != nil {
		return false, causeOf(ctx, err)
	}
	first, err := s.Recv()
	switch {
	case err != nil:
		return false, causeOf(ctx, err)
	case first.GetHello() == nil:
		return false, errors.New("the handler's first message has no hello")
	}
	late.Stop()
	held.Stop()
	l.rise(first.GetHello().GetWindow())
	k.log.Info("the handler is there", "clients", l.held())
	sender := make(chan struct{})
	go func() {
		defer close(sender)
		k.send(ctx, cancel, l, s)
	}()
	k.obey(l, t, first.GetCommands())
	err = k.receive(l, t, s)
	err = causeOf(ctx, err)
	cancel(err)
	<-sender
	return true, err
}

// causeOf gives the cause of a stream's end.
func causeOf(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil && !errors.Is(why, context.Canceled) {
		return why
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the handler has ended the stream")
	}
	return err
}

// send sends what waits in the lane until ctx ends. A handler that takes nothing for
// stall_timeout is left.
func (k *link) send(ctx context.Context, cancel context.CancelCauseFunc, l *lane, s grpc.BidiStreamingClient[pb.FromGateway, pb.FromHandler]) {
	stall := time.AfterFunc(k.cfg.StallTimeout, func() { cancel(fmt.Errorf("it has taken nothing for %s", k.cfg.StallTimeout)) })
	defer stall.Stop()
	stall.Stop()
	var batch []item
	var out pb.FromGateway
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.signal:
		}
		for batch = l.next(batch[:0]); len(batch) > 0; batch = l.next(batch[:0]) {
			out.Events = out.Events[:0]
			for _, it := range batch {
				out.Events = append(out.Events, it.ev)
			}
			stall.Reset(k.cfg.StallTimeout)
			if s.Send(&out) != nil {
				return // Recv knows why
			}
			stall.Stop()
			l.sent(batch)
			clear(batch)
			clear(out.Events)
		}
	}
}

// receive lays the handler's commands before their clients until the stream ends.
func (k *link) receive(l *lane, t *core.Turn, s grpc.BidiStreamingClient[pb.FromGateway, pb.FromHandler]) error {
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if m.GetHello() != nil {
			return errors.New("the handler has sent a second hello")
		}
		k.obey(l, t, m.GetCommands())
	}
}

// obey sorts commands; those of no client are answered here.
func (k *link) obey(l *lane, t *core.Turn, cmds []*pb.Command) {
	strangers := l.receive(cmds)
	if len(strangers) == 0 {
		return
	}
	t.Begin(time.Now())
	for _, c := range strangers {
		k.stranger(l, t, c)
	}
	t.End()
}

// stranger answers a command whose client is not there: it has left, which is no fault,
// or it never was the stream's.
func (k *link) stranger(l *lane, t *core.Turn, c *pb.Command) {
	r := core.ConnectionLost
	if !l.issued(c.GetConn()) {
		r = core.ProtocolError
		err := core.Errorf(r, "connection %d was never one of this stream", c.GetConn())
		l.fault()
		k.gw.Refuse(t, core.Refusal{Reason: r, Listener: k.listener, Peer: k.cfg.Handler, Detail: "handler: " + verb(c) + ": " + err.Detail})
		l.answer(faultOf(c, err))
	}
	if answers(c) {
		l.answer(&pb.Event{Conn: c.GetConn(), What: &pb.Event_Result{Result: &pb.Result{Token: c.GetToken(), Reason: r.String(), Detail: "there is no such connection"}}})
	}
}
