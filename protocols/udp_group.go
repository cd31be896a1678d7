package protocols

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// openEars opens a socket for each group of the listener. Group sockets only hear; the
// answers leave from one of the listener's own.
func openEars(ln *Listener, opened []*port) (ears []*port, err error) {
	defer func() {
		if err != nil {
			for _, p := range ears {
				p.socket.close()
			}
		}
	}()
	if len(ln.cfg.UDP.Groups) == 0 {
		return nil, nil
	}
	interfaces, err := ln.cfg.UDP.interfaces()
	if err != nil {
		return nil, err
	}
	for _, group := range ln.cfg.UDP.Groups {
		voice := voiceFor(opened, group)
		if voice == nil {
			return ears, fmt.Errorf("udp.groups: %s is of another kind than the address of the listener", group)
		}
		s, err := openEar(ln, netip.AddrPortFrom(group, netAddrPort(voice.socket.addr()).Port()), interfaces)
		if err != nil {
			return ears, fmt.Errorf("udp.groups: %s: %w", group, err)
		}
		p := newPort(voice.engine, ln, s)
		p.voice = voice
		ears = append(ears, p)
	}
	return ears, nil
}

// voiceFor is a port that can send to a.
func voiceFor(ports []*port, a netip.Addr) *port {
	for _, p := range ports {
		if sameFamily(netAddrPort(p.socket.addr()).Addr(), a) {
			return p
		}
	}
	return nil
}

// interfaces are those that are named, or all that are up and know groups.
func (u *UDPConfig) interfaces() (out []net.Interface, err error) {
	for _, name := range u.Interfaces {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("udp.interfaces: %q: %w", name, err)
		}
		out = append(out, *i)
	}
	if len(out) > 0 {
		return out, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("the interfaces of this machine: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagMulticast != 0 {
			out = append(out, i)
		}
	}
	return out, nil
}

// beaconer has the listener's protocol announce the gateway.
type beaconer struct {
	Beacon
	at  time.Time // when it is asked next; zero for never
	out []announcement
}

// announcement is where to, and by which port and interface.
type announcement struct {
	via  *port
	to   netip.AddrPort
	from *localAddr
}

// setBeacon gives the first of a listener's ports the beacon, if there is one.
func setBeacon(ln *Listener, ports []*port) {
	b, ok := ln.adapter.(Beacon)
	if !ok || len(ln.cfg.UDP.Announce) == 0 {
		return
	}
	k := &beaconer{Beacon: b, at: past()}
	for _, to := range ln.cfg.UDP.Announce {
		via := voiceFor(ports, to.Addr())
		if via == nil {
			continue
		}
		if len(ln.cfg.UDP.Interfaces) == 0 {
			k.out = append(k.out, announcement{via, to, nil})
		}
		for _, name := range ln.cfg.UDP.Interfaces {
			if i, err := net.InterfaceByName(name); err == nil {
				k.out = append(k.out, announcement{via, to, leaving(to.Addr().Is6(), i.Index)})
			}
		}
	}
	ports[0].beacon = k
}

// announce asks the beacon if it is time.
func (p *port) announce() {
	b := p.beacon
	if b == nil || b.at.IsZero() || p.now.Before(b.at) {
		return
	}
	b.at = time.Time{}
	if !p.accepting {
		return
	}
	p.act.Reset()
	if next := b.Beacon.Beacon(p.turn, p.listener, &p.act); next > 0 {
		b.at = p.now.Add(next)
	}
	eachDatagram(p.act.Out, p.act.ends, func(d []byte) {
		for _, a := range b.out {
			p.box.add(a.via, a.to, a.from, d)
		}
	})
}
