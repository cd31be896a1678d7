package interop

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

var (
	sleepers = flag.Int("sleepers", 50, "MQTT-SN clients of the sleeping test")
	gathered = flag.Int("gathered", 20, "messages that gather for each of them")
)

// TestSleepersSurviveKill: sensors sleep, messages gather for them, the gateway is killed
// and started again. They wake by PINGREQ, from their own port or another one where the
// listener allows it, or are told to connect. Nothing is lost, nothing out of order, and no
// topic is told again that the specification does not ask for.
func TestSleepersSurviveKill(t *testing.T) {
	command(t)
	for _, c := range []struct {
		name          string
		moves, change bool
	}{
		{"the same ports", false, false},
		{"other ports, allowed", true, true},
		{"other ports, not allowed", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &sleeping{folder: shortDir(t), change: c.change}
			s.start(t)
			all := make([]*sensor, *sleepers)
			s.each(t, func(i int) error {
				all[i] = &sensor{id: fmt.Sprintf("sensor-%05d", i), known: map[uint16]bool{}, last: map[packet.Type]uint16{}}
				return all[i].fallAsleep(s.address)
			})
			s.publish(t)
			s.gateway.kill()
			s.start(t)
			began := time.Now()
			s.each(t, func(i int) error { return all[i].comeBack(s.address, c.moves, c.moves && !c.change) })
			t.Logf("%d clients fetched %d messages each in %s", *sleepers, *gathered, time.Since(began).Round(time.Millisecond))
			for _, m := range all {
				m.close()
			}
			s.gateway.stop(t)
		})
	}
}

// sleeping is one run of the test.
type sleeping struct {
	folder  string
	change  bool
	gateway *gateway
	address *net.UDPAddr
}

func (s *sleeping) start(t *testing.T) {
	t.Helper()
	s.gateway = runGateway(t, s.folder, "", "--ephemeral", "--set", "node.data_dir="+filepath.Join(s.folder, "data"),
		"--set", fmt.Sprintf("listeners.mqttsn.address_change=%t", s.change), "--set", "mqttsn.retry_interval=2s")
	var err error
	if s.address, err = net.ResolveUDPAddr("udp", s.gateway.listeners["mqttsn"]); err != nil {
		t.Fatal(err)
	}
}

// each does something for every sensor, many at a time.
func (s *sleeping) each(t *testing.T, do func(i int) error) {
	t.Helper()
	const atOnce = 64
	var wg sync.WaitGroup
	numbers := make(chan int)
	errs := make(chan error, *sleepers)
	for range atOnce {
		wg.Go(func() {
			for i := range numbers {
				if err := do(i); err != nil {
					errs <- fmt.Errorf("sensor %d: %w", i, err)
				}
			}
		})
	}
	for i := range *sleepers {
		numbers <- i
	}
	close(numbers)
	wg.Wait()
	select {
	case err := <-errs:
		t.Fatalf("%v, and %d more", err, len(errs))
	default:
	}
}

// publish sends everything, and returns when all of it is acknowledged.
func (s *sleeping) publish(t *testing.T) {
	t.Helper()
	c, err := devices.Dial(t.Context(), s.gateway.endpoint(t, "tcp").deviceURL(), devices.Options{ClientID: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var wg sync.WaitGroup
	errs := make(chan error, 32)
	for w := range 32 {
		wg.Go(func() {
			for i := w; i < *sleepers; i += 32 {
				for n := range *gathered {
					m := devices.Message{Topic: fmt.Sprintf("s/%05d", i), Payload: fmt.Append(nil, n), QoS: 1}
					if _, err := c.Publish(t.Context(), &m); err != nil {
						errs <- err
						return
					}
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
}

// sensor is one MQTT-SN client.
type sensor struct {
	id        string
	sock      *net.UDPConn
	known     map[uint16]bool
	registers int
	got       []string
	last      map[packet.Type]uint16 // the Message ID that came last: it may come again
}

func (m *sensor) close() { m.sock.Close() }

func (m *sensor) open() (err error) {
	m.sock, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	return err
}

// fallAsleep connects, subscribes and sleeps.
func (m *sensor) fallAsleep(at *net.UDPAddr) error {
	if err := m.open(); err != nil {
		return err
	}
	if err := m.connect(at); err != nil {
		return err
	}
	topic := "s/" + m.id[len("sensor-"):]
	p, err := m.ask(at, &packet.Subscribe{Type: packet.TypeSubscribe, QoS: 1, MessageID: 1, Topic: []byte(topic)}, packet.TypeSuback)
	if err != nil {
		return err
	}
	m.known[p.(*packet.Suback).TopicID] = true
	_, err = m.ask(at, &packet.Disconnect{Sleeps: true, Duration: 3600}, packet.TypeDisconnect)
	return err
}

func (m *sensor) connect(at *net.UDPAddr) error {
	p, err := m.ask(at, &packet.Connect{ClientID: []byte(m.id), Duration: 60}, packet.TypeConnack)
	if err == nil && p.(*packet.Connack).Code != packet.Accepted {
		err = errors.New(p.(*packet.Connack).Code.String())
	}
	return err
}

// comeBack wakes, from another port if it moves, and counts what it is told.
func (m *sensor) comeBack(at *net.UDPAddr, moves, refused bool) error {
	if moves {
		m.close()
		if err := m.open(); err != nil {
			return err
		}
	}
	if refused {
		if _, err := m.ask(at, &packet.Pingreq{ClientID: []byte(m.id)}, packet.TypeDisconnect); err != nil {
			return fmt.Errorf("waking from another port: %w", err)
		}
		clear(m.known)
		if err := m.connect(at); err != nil {
			return err
		}
		for len(m.got) < *gathered {
			if _, err := m.ask(at, &packet.Pingreq{}, packet.TypePingresp); err != nil {
				return err
			}
		}
	} else if _, err := m.ask(at, &packet.Pingreq{ClientID: []byte(m.id)}, packet.TypePingresp); err != nil {
		return err
	}
	for i, text := range m.got {
		if text != fmt.Sprint(i) {
			return fmt.Errorf("message %d is %q", i, text)
		}
	}
	if want := map[bool]int{true: 1}[refused]; len(m.got) != *gathered || m.registers != want {
		return fmt.Errorf("%d messages and %d REGISTER, want %d and %d", len(m.got), m.registers, *gathered, want)
	}
	return nil
}

// fresh tells whether a packet is another one than the last of its type. The gateway sends
// one again whose acknowledgement it has not read for a while.
func (m *sensor) fresh(kind packet.Type, id uint16) bool {
	before, again := m.last[kind]
	m.last[kind] = id
	return !again || before != id
}

// ask sends p and acknowledges what comes until the answer does.
func (m *sensor) ask(at *net.UDPAddr, p packet.Packet, answer packet.Type) (packet.Packet, error) {
	b := make([]byte, 2048)
	send := func(p packet.Packet) { m.sock.WriteToUDP(p.Append(nil), at) }
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		send(p)
		m.sock.SetReadDeadline(time.Now().Add(5 * time.Second))
		for {
			n, err := m.sock.Read(b)
			if err != nil {
				break // nothing for a while: once more
			}
			f, err := packet.Parse(b[:n])
			if err != nil {
				return nil, err
			}
			got := packet.New(f.Type)
			if err := got.Decode(f); err != nil {
				return nil, err
			}
			switch got := got.(type) {
			case *packet.Register:
				if m.fresh(f.Type, got.MessageID) {
					m.registers++
				}
				m.known[got.TopicID] = true
				send(&packet.Topicack{Type: packet.TypeRegack, TopicID: got.TopicID, MessageID: got.MessageID})
			case *packet.Publish:
				if !m.known[got.TopicID] {
					return nil, fmt.Errorf("a PUBLISH with topic id %d, which nobody told", got.TopicID)
				}
				if m.fresh(f.Type, got.MessageID) || !got.Dup {
					m.got = append(m.got, string(got.Data))
				}
				send(&packet.Topicack{Type: packet.TypePuback, TopicID: got.TopicID, MessageID: got.MessageID})
			}
			if f.Type == answer {
				return got, nil
			}
			if f.Type == packet.TypeDisconnect {
				return nil, errors.New("the gateway says that it is not connected")
			}
			m.sock.SetReadDeadline(time.Now().Add(5 * time.Second))
		}
	}
	return nil, fmt.Errorf("%T was not answered", p)
}
