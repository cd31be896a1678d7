package devices

import (
	"context"
	"net"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
)

// openDatagrams makes the way to the gateway, with DTLS where the URL says so.
func (a *address) openDatagrams(ctx context.Context, o *Options) (net.Conn, error) {
	dial := o.DialContext
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	if !a.secure() {
		return a.connect(ctx, dial)
	}
	options, err := a.dtlsOptions(o)
	if err != nil {
		return nil, err
	}
	conn, err := a.connect(ctx, dial)
	if err != nil {
		return nil, err
	}
	c, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(conn), conn.RemoteAddr(), options...)
	if err == nil {
		err = c.HandshakeContext(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// dtlsOptions says how both sides prove who they are: by the shared key, if there is one,
// else by certificates.
func (a *address) dtlsOptions(o *Options) ([]dtls.ClientOption, error) {
	// A connection id lets the association survive another address. [RFC 9146]
	options := []dtls.ClientOption{dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator())}
	if o.PSK != nil {
		return append(options,
			dtls.WithPSK(func([]byte) ([]byte, error) { return o.PSK.Key, nil }), dtls.WithPSKIdentityHint([]byte(o.PSK.Identity)),
			dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_AES_128_CCM)), nil
	}
	c, err := o.TLS.config(a.host)
	if err != nil {
		return nil, err
	}
	options = append(options, dtls.WithServerName(c.ServerName), dtls.WithInsecureSkipVerify(c.InsecureSkipVerify))
	if c.RootCAs != nil {
		options = append(options, dtls.WithRootCAs(c.RootCAs))
	}
	if len(c.Certificates) > 0 {
		options = append(options, dtls.WithCertificates(c.Certificates...))
	}
	return options, nil
}
