package protocols

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// loadVariable makes the test binary a load generator: "network address clients
// pipeline seconds interval". The network is one of package net, or tls or quic. A
// pipeline of 0 only opens the connections, says so, and holds them until standard
// input ends.
const loadVariable = "FAIRLEAD_EDGE_LOAD"

// runLoad is the generator: each client sends pipeline lines of 64 bytes in one
// write, waits for their echo, and begins again, at once or every interval. It
// prints how many lines came back.
func runLoad(spec string) {
	var network, address string
	var clients, pipeline int
	var lasting, interval time.Duration
	f := strings.Fields(spec)
	network, address = f[0], f[1]
	clients, _ = strconv.Atoi(f[2])
	pipeline, _ = strconv.Atoi(f[3])
	lasting, _ = time.ParseDuration(f[4])
	interval, _ = time.ParseDuration(f[5])
	var done atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(lasting)
	for i := range clients {
		c, err := dialLoad(network, address)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		io.WriteString(c, "hello\n")
		io.ReadFull(c, make([]byte, len("welcome\n")))
		if pipeline == 0 {
			defer c.Close()
			continue
		}
		wg.Go(func() {
			defer c.Close()
			text := []byte(strings.Repeat(strings.Repeat("m", 63)+"\n", pipeline))
			got := make([]byte, len(text))
			tick := &time.Ticker{}
			if interval > 0 {
				<-time.After(interval * time.Duration(i) / time.Duration(clients))
				tick = time.NewTicker(interval)
				defer tick.Stop()
			}
			for time.Now().Before(end) {
				if interval > 0 {
					<-tick.C
				}
				c.Write(text)
				if _, err := io.ReadFull(c, got); err != nil {
					return
				}
				done.Add(int64(pipeline))
			}
		})
	}
	if pipeline == 0 {
		fmt.Println("open")
		io.Copy(io.Discard, os.Stdin)
		return
	}
	wg.Wait()
	fmt.Println(done.Load())
}

// dialLoad connects without looking at the certificate.
func dialLoad(network, address string) (net.Conn, error) {
	secure := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"line"}}
	switch network {
	case "tls":
		return tls.Dial("tcp", address, secure)
	case "quic":
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		conn, err := quic.DialAddr(ctx, address, secure, &quic.Config{MaxIdleTimeout: time.Minute})
		if err != nil {
			return nil, err
		}
		s, err := conn.OpenStreamSync(ctx)
		return &quicClient{s, conn}, err
	}
	return net.Dial(network, address)
}
