package devices

import (
	"context"
	"net"

	"github.com/quic-go/quic-go"
)

// Streams is a QUIC connection of which the caller opens the streams itself and says
// every byte: what a test of the multi-stream mode needs. [Dial] gives a client that
// needs one stream and speaks MQTT.
type Streams struct{ conn *quic.Conn }

// DialStreams connects to a server's quic:// URL and opens no stream yet.
func DialStreams(ctx context.Context, rawURL string, secure TLS) (*Streams, error) {
	a, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	c, err := a.connectQUIC(ctx, &Options{TLS: secure})
	if err != nil {
		return nil, explainDial(a, err)
	}
	return &Streams{c}, nil
}

// Open opens a stream in both directions; it waits while the server allows no more.
// The first one is the control stream of MQTT. Closing a stream ends the direction
// towards the server only.
func (s *Streams) Open(ctx context.Context) (*DataStream, error) {
	stream, err := s.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return &DataStream{quicConn{stream, s.conn}}, nil
}

// TryOpen is Open that fails where the server allows no more streams.
func (s *Streams) TryOpen() (*DataStream, error) {
	stream, err := s.conn.OpenStream()
	if err != nil {
		return nil, err
	}
	return &DataStream{quicConn{stream, s.conn}}, nil
}

// Done is closed when the connection is over.
func (s *Streams) Done() <-chan struct{} { return s.conn.Context().Done() }

// Close ends the connection without a word of MQTT.
func (s *Streams) Close() error { return s.conn.CloseWithError(0, "") }

// DataStream is one stream. It is a net.Conn but for Close.
type DataStream struct{ quicConn }

var _ net.Conn = (*DataStream)(nil)

// Close says that nothing more comes by this stream.
func (d *DataStream) Close() error { return d.Stream.Close() }

// Abort breaks the stream off: what is under way in the directions told may be lost.
func (d *DataStream) Abort(sending, receiving bool) {
	if sending {
		d.CancelWrite(0)
	}
	if receiving {
		d.CancelRead(0)
	}
}
