package fairlead

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

func TestCertificateSource(t *testing.T) {
	if certificates(map[string]*protocols.ListenerConfig{"l": {}}) != nil {
		t.Error("a source where nobody is named by a certificate")
	}
	s := certificates(map[string]*protocols.ListenerConfig{
		"user":   {TLS: protocols.TLSConfig{Identity: "cn"}},
		"client": {TLS: protocols.TLSConfig{ClientID: "cn"}},
		"both":   {TLS: protocols.TLSConfig{Identity: "cn", ClientID: "san_dns"}},
		"same":   {TLS: protocols.TLSConfig{Identity: "cn", ClientID: "cn"}},
		"none":   {},
	})
	name := pkix.Name{CommonName: "sensor-7", Names: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "sensor-7"}}}
	full := &x509.Certificate{Subject: name, DNSNames: []string{"s7.test"}}
	for _, c := range []struct {
		listener string
		cert     *x509.Certificate
		want     core.Verdict
		user, id string
	}{
		{"user", full, core.Allow, "sensor-7", ""},
		{"client", full, core.Allow, "sensor-7", "sensor-7"},
		{"both", full, core.Allow, "sensor-7", "s7.test"},
		{"same", full, core.Allow, "sensor-7", "sensor-7"},
		{"none", full, core.Ignore, "", ""},
		{"unknown", full, core.Ignore, "", ""},
		{"user", nil, core.Ignore, "", ""},
		{"user", &x509.Certificate{}, core.Deny, "", ""},
		{"both", &x509.Certificate{Subject: name}, core.Deny, "", ""},
	} {
		v, grant, err := s.Authenticate(context.Background(), &core.Credentials{Listener: c.listener, Certificate: c.cert, Username: "somebody else", HasUsername: true})
		if v != c.want || err != nil {
			t.Errorf("%s: %v, %v; want %v", c.listener, v, err, c.want)
		}
		if grant == nil {
			grant = &core.Grant{}
		}
		if grant.Username != c.user || grant.ClientID != c.id || grant.Superuser {
			t.Errorf("%s: granted %+v, want user %q and client id %q", c.listener, grant, c.user, c.id)
		}
	}
}
