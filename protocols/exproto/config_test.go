package exproto

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// TestConfig: faults are told, all at once, and TLS is on beyond this machine.
func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  protocols.ExprotoConfig
		want string // in the fault, "" for none
	}{
		"fine":          {protocols.ExprotoConfig{Handler: "127.0.0.1:9"}, ""},
		"unix":          {protocols.ExprotoConfig{Handler: "unix:/run/h"}, ""},
		"far":           {protocols.ExprotoConfig{Handler: "h.example:9", CAFile: "ca"}, ""},
		"none":          {protocols.ExprotoConfig{}, "exproto.handler"},
		"no port":       {protocols.ExprotoConfig{Handler: "h.example"}, "exproto.handler"},
		"empty path":    {protocols.ExprotoConfig{Handler: "unix:"}, "exproto.handler"},
		"CA in vain":    {protocols.ExprotoConfig{Handler: "127.0.0.1:9", CAFile: "ca"}, "exproto.tls"},
		"half a pair":   {protocols.ExprotoConfig{Handler: "h.example:9", KeyFile: "k"}, "exproto.cert_file"},
		"small queue":   {protocols.ExprotoConfig{Handler: "127.0.0.1:9", Queue: 1}, "exproto.queue"},
		"words":         {protocols.ExprotoConfig{Handler: "127.0.0.1:9", TLS: "yes"}, "exproto.tls"},
		"many streams":  {protocols.ExprotoConfig{Handler: "127.0.0.1:9", Streams: 1000}, "exproto.streams"},
		"long patience": {protocols.ExprotoConfig{Handler: "127.0.0.1:9", Hold: 2 * time.Hour}, "exproto.hold"},
	} {
		cfg := protocols.DefaultConfig()
		cfg.Listeners["l"] = &protocols.ListenerConfig{Protocol: protocols.Exproto, Transport: protocols.TCP, Address: "127.0.0.1:0", Exproto: c.cfg}
		err := cfg.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := protocols.DefaultConfig()
	cfg.Listeners["l"] = &protocols.ListenerConfig{Protocol: "mqtt", Transport: protocols.TCP, Address: "127.0.0.1:0", Exproto: protocols.ExprotoConfig{Handler: "127.0.0.1:9"}}
	if cfg.Validate() == nil {
		t.Error("a handler of MQTT is accepted")
	}
	for handler, want := range map[string]bool{"127.0.0.1:9": false, "[::1]:9": false, "localhost:9": false, "unix:/h": false, "10.0.0.1:9": true, "h.example:9": true} {
		c := protocols.ExprotoConfig{Handler: handler}
		if c.Encrypted() != want {
			t.Errorf("%s: TLS %v", handler, !want)
		}
	}
}

// TestTLS: a handler over TLS on a real socket is reached with the right authority only.
func TestTLS(t *testing.T) {
	cert, file := selfSigned(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}})))
	pb.RegisterHandlerServer(s, echoAlone{})
	go s.Serve(ln)
	defer s.Stop()
	_, other := selfSigned(t)
	for ca, want := range map[string]bool{file: true, other: false} {
		lc := &protocols.ListenerConfig{Protocol: protocols.Exproto, Exproto: protocols.ExprotoConfig{Handler: ln.Addr().String(), TLS: "on", CAFile: ca}}
		index := uint64(0)
		k, err := newLink("l", lc, coretest.Start(t, nil, nil).Gateway, discard(), nil, &index)
		if err != nil {
			t.Fatal(err)
		}
		c, err := k.connect()
		if err != nil {
			t.Fatal(err)
		}
		stream, err := pb.NewHandlerClient(c).Serve(t.Context())
		if err == nil {
			_, err = stream.Recv()
		}
		if (err == nil) != want {
			t.Errorf("%v, want success %v", err, want)
		}
		c.Close()
	}
	lc := &protocols.ListenerConfig{Protocol: protocols.Exproto, Exproto: protocols.ExprotoConfig{Handler: "h.example:9", CAFile: "missing", CertFile: "missing", KeyFile: "missing"}}
	_, err = New(Options{Listeners: map[string]*protocols.ListenerConfig{"l": lc}}, coretest.Start(t, nil, nil).Gateway)
	if err == nil || !strings.Contains(err.Error(), "listeners.l.exproto.ca_file") || !strings.Contains(err.Error(), "cert_file") {
		t.Error(err)
	}
}

type echoAlone struct{ pb.UnimplementedHandlerServer }

func (echoAlone) Serve(s grpc.BidiStreamingServer[pb.FromGateway, pb.FromHandler]) error {
	return s.Send(&pb.FromHandler{Hello: &pb.Hello{}})
}

func selfSigned(t *testing.T) (tls.Certificate, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
