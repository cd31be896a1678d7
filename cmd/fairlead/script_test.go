package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"fairlead": func() { os.Exit(run()) }})
}

// TestScripts runs testdata/script/*.txt: each one is a user with a terminal.
// Besides the usual commands there are:
//
//	ready FILE           wait for a ready file; sets $mqtt, $ws, … and $admin to the addresses, $data to the directory
//	figure NAME VALUE    wait until the metric fairlead_NAME of $admin has the value
//	exits CODE COMMAND   run a command that must end with the exit code
//	authority NAME       make NAME.pem and, signed by it, NAME-server.pem/key and NAME-client.pem/key for localhost
//	occupy NAME          hold a free port of 127.0.0.1 until the end, $NAME is its address
//	free NAME            find a port of 127.0.0.1 that the system gives to nobody, $NAME is its address
//	gone PATH            wait until the file or directory is gone
//	many N FILE          write N numbered lines
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			// Short, for the path of a unix socket has at most 103 bytes.
			dir, err := os.MkdirTemp("", "fl")
			if err != nil {
				return err
			}
			e.Defer(func() { os.RemoveAll(dir) })
			e.Setenv("TMPDIR", dir)
			// What the scripts need not prove: the disk's own speed and space.
			e.Setenv("FAIRLEAD_STORE_SYNC", "false")
			e.Setenv("FAIRLEAD_STORE_MIN_FREE_BYTES", "0")
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "ipv6" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			ln, err := net.Listen("tcp", "[::1]:0")
			if err == nil {
				ln.Close()
			}
			return err == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "figure": figure, "exits": exitsWith, "authority": authority,
			"occupy": occupy, "free": free, "gone": gone, "many": many,
		},
	})
}

// patience is how long a script waits for what must happen.
const patience = time.Minute

// await asks again and again until done says true.
func await(ts *testscript.TestScript, what string, done func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("%s did not happen within %s", what, patience)
		}
	}
}

func arguments(ts *testscript.TestScript, neg bool, args []string, n int) {
	if neg || len(args) < n {
		ts.Fatalf("this command takes %d arguments and no !", n)
	}
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	var r readiness
	await(ts, "the ready file", func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && json.Unmarshal(text, &r) == nil
	})
	for name, address := range r.Listeners {
		ts.Setenv(name, address)
	}
	ts.Setenv("admin", r.Admin)
	ts.Setenv("data", r.DataDir)
	ts.Setenv("pid", strconv.Itoa(r.PID))
}

func figure(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2)
	want := "\nfairlead_" + args[0] + " " + args[1] + "\n"
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	await(ts, args[0]+" = "+args[1], func() bool {
		res, err := client.Get("http://" + ts.Getenv("admin") + "/metrics")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return err == nil && strings.Contains(string(body), want)
	})
}

func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2)
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s\n%s%s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func gone(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	await(ts, "the end of "+args[0], func() bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return errors.Is(err, os.ErrNotExist)
	})
}

func occupy(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ln.Close() })
	ts.Setenv(args[0], ln.Addr().String())
}

// free looks outside of the range from which the system gives ports, and of that of
// scripts/services: between two gateways on it nobody else is given the port.
func free(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	for range 100 {
		ln, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20_000+mathrand.IntN(1_400)))
		if err == nil {
			ts.Setenv(args[0], ln.Addr().String())
			ts.Check(ln.Close())
			return
		}
	}
	ts.Fatalf("no free port")
}

func many(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o600))
}

// authority makes a certificate authority and what it signed.
func authority(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	name := args[0]
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	caKey := sign(ts, name, ca, ca, nil)
	for i, role := range []string{"server", "client"} {
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2), Subject: pkix.Name{CommonName: role},
			NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		}
		sign(ts, name+"-"+role, leaf, ca, caKey)
	}
}

// sign makes a key and a certificate for it, and writes both.
func sign(ts *testscript.TestScript, name string, c, parent *x509.Certificate, by *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return key
}
