package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// HTTP is how a source speaks to a server over HTTP.
type HTTP struct {
	Timeout  time.Duration
	Pool     int // connections that are kept, and the most there are at once
	CAFile   string
	CertFile string
	KeyFile  string
}

// Client makes a client that follows no redirect, takes no proxy from the environment, and
// keeps its connections. It reads the files of TLS; a fault begins with its key.
func (h HTTP) Client() (*http.Client, error) {
	t, err := rules.ClientTLS(h.CAFile, h.CertFile, h.KeyFile)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout: h.Timeout,
		Transport: &http.Transport{
			TLSClientConfig: t, TLSHandshakeTimeout: h.Timeout, ForceAttemptHTTP2: true,
			DialContext:         (&net.Dialer{Timeout: h.Timeout}).DialContext,
			MaxIdleConnsPerHost: h.Pool, MaxConnsPerHost: h.Pool, IdleConnTimeout: 90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Ask sends a request and gives the answer with its body, of most bytes at most. It blocks
// up to ctx and the client's time.
func Ask(ctx context.Context, client *http.Client, r *http.Request, most int64) (*http.Response, []byte, error) {
	answer, err := client.Do(r.WithContext(ctx))
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the answer broke off: %w", withoutURL(err))
	case int64(len(body)) > most:
		return nil, nil, fmt.Errorf("the answer is longer than %d bytes", most)
	case answer.StatusCode >= 300 && answer.StatusCode < 400 && answer.StatusCode != http.StatusNotModified:
		return nil, nil, fmt.Errorf("the server points elsewhere (%d), which is not followed", answer.StatusCode)
	}
	return answer, body, nil
}

// withoutURL takes the URL out of an error: passwords may be in it.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// CheckURL says what is wrong with the URL of a server, whose host must stand in it as it
// is.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return errors.New("must begin with https://HOST or http://HOST")
	case u.User != nil:
		return errors.New("must hold no user name and password; there are headers for them")
	}
	return nil
}

// Plain says that a URL leads over the network without TLS.
func Plain(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}
