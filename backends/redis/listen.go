package redis

import (
	"context"
	"time"
)

// Listen hands what others publish on the pool's channel to handle, until ctx ends; it
// returns at once where the pool has none. It subscribes anew after the connection was
// lost: what was published meanwhile is lost, as Redis keeps nothing. trouble is told
// when that happens, with nil when it is over.
//
// In a cluster messages reach every node, whichever the program has published to.
func (d *Database) Listen(ctx context.Context, handle func(message []byte), trouble func(error)) {
	if d.cfg.Channel == "" {
		return
	}
	away := false
	for ctx.Err() == nil {
		err := d.listen(ctx, handle, func() {
			if away {
				away = false
				trouble(nil)
			}
		})
		if ctx.Err() != nil {
			return
		}
		if !away {
			away = true
			trouble(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// listen is Listen until the connection is lost.
func (d *Database) listen(ctx context.Context, handle func(message []byte), up func()) error {
	sub := d.client.Subscribe(ctx, d.cfg.Channel)
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { sub.Close() })() // reading waits for the socket alone
	if _, err := sub.Receive(ctx); err != nil {
		return err
	}
	up()
	for {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		handle([]byte(m.Payload))
	}
}
