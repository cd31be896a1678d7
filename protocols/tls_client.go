package protocols

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// certificateRefusal is a client certificate that the listener's rules refuse,
// although an authority signed it.
type certificateRefusal struct{ detail string }

func (e *certificateRefusal) Error() string { return e.detail }

// maxIdentity is the bytes that a name from a certificate may have.
const maxIdentity = 1024

// identityFields are what a certificate may be named by.
func identityFields() []string {
	return []string{"", "cn", "dn", "san_dns", "san_email", "san_uri", "san_ip", "fingerprint"}
}

// CertificateName is what c is called by field: cn (the subject's common name), dn
// (the subject as in RFC 2253), san_dns, san_email, san_uri, san_ip (the subject's
// alternative name of that kind) or fingerprint (SHA-256 of the certificate, in
// hexadecimal). A field that is not there exactly once, is longer than 1,024 bytes,
// or holds anything but printable text is an error: a name must not be ambiguous.
func CertificateName(c *x509.Certificate, field string) (string, error) {
	names := namesOf(c, field)
	if len(names) != 1 {
		return "", fmt.Errorf("the certificate of %q has %d names of the kind %s, and must have one", c.Subject.String(), len(names), field)
	}
	name := names[0]
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if name == "" || len(name) > maxIdentity || !utf8.ValidString(name) || strings.ContainsFunc(name, odd) {
		return "", fmt.Errorf("the %s of the certificate of %q is no name: it must be 1 to %d bytes of printable text", field, c.Subject.String(), maxIdentity)
	}
	return name, nil
}

func namesOf(c *x509.Certificate, field string) (names []string) {
	switch field {
	case "cn":
		for _, n := range c.Subject.Names {
			if text, ok := n.Value.(string); ok && n.Type.Equal([]int{2, 5, 4, 3}) {
				names = append(names, text)
			}
		}
	case "dn":
		names = []string{c.Subject.String()}
	case "san_dns":
		names = c.DNSNames
	case "san_email":
		names = c.EmailAddresses
	case "san_uri":
		for _, u := range c.URIs {
			names = append(names, u.String())
		}
	case "san_ip":
		for _, ip := range c.IPAddresses {
			names = append(names, ip.String())
		}
	case "fingerprint":
		sum := sha256.Sum256(c.Raw)
		names = []string{hex.EncodeToString(sum[:])}
	}
	return names
}

// clientRules are what a listener asks of client certificates beyond an authority's
// signature.
type clientRules struct {
	fields []string
	lists  *revocations // nil for none
}

// verify is for tls.Config: it runs for resumed sessions as well.
func (r *clientRules) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return nil // client_auth says whether that may be
	}
	for _, f := range r.fields {
		if _, err := CertificateName(s.PeerCertificates[0], f); err != nil {
			return &certificateRefusal{err.Error()}
		}
	}
	if r.lists == nil {
		return nil
	}
	return r.lists.check(s.VerifiedChains, time.Now())
}

// revocations are the lists of revoked certificates, by the issuer's name.
type revocations struct {
	lists map[string]*x509.RevocationList
}

// loadRevocations reads lists in PEM or DER. Each must be signed by one of the
// authorities, of which the latest one of each issuer holds.
func loadRevocations(files []string, authorities []*x509.Certificate) (*revocations, error) {
	out := &revocations{map[string]*x509.RevocationList{}}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("tls.crl_files: %w", err)
		}
		if err := out.add(raw, authorities); err != nil {
			return nil, fmt.Errorf("tls.crl_files %q: %w", name, err)
		}
	}
	return out, nil
}

func (r *revocations) add(raw []byte, authorities []*x509.Certificate) error {
	blocks := [][]byte{raw}
	if bytes.Contains(raw, []byte("-----BEGIN")) {
		blocks = nil
		for b, rest := pem.Decode(raw); b != nil; b, rest = pem.Decode(rest) {
			if b.Type == "X509 CRL" {
				blocks = append(blocks, b.Bytes)
			}
		}
	}
	if len(blocks) == 0 {
		return errors.New("holds no revocation list (X509 CRL) in PEM")
	}
	for _, der := range blocks {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return err
		}
		signed := func(a *x509.Certificate) bool {
			return bytes.Equal(a.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(a) == nil
		}
		if !slices.ContainsFunc(authorities, signed) {
			return fmt.Errorf("the list of %q is signed by no authority of tls.client_ca_file", list.Issuer.String())
		}
		if old := r.lists[string(list.RawIssuer)]; old == nil || old.ThisUpdate.Before(list.ThisUpdate) {
			r.lists[string(list.RawIssuer)] = list
		}
	}
	return nil
}

// check refuses unless some chain is free of revoked certificates. What cannot be
// told counts as revoked: an issuer without a list, a list past its time.
func (r *revocations) check(chains [][]*x509.Certificate, now time.Time) error {
	var err error
	for _, chain := range chains {
		if err = r.checkChain(chain, now); err == nil {
			return nil
		}
	}
	return err
}

// checkChain leaves the last certificate out: it is trusted as it is.
func (r *revocations) checkChain(chain []*x509.Certificate, now time.Time) error {
	for i := range len(chain) - 1 {
		c := chain[i]
		list := r.lists[string(c.RawIssuer)]
		switch {
		case list == nil:
			return &certificateRefusal{fmt.Sprintf("no revocation list of %q, which signed the certificate of %q; add it to tls.crl_files", c.Issuer.String(), c.Subject.String())}
		case !list.NextUpdate.IsZero() && now.After(list.NextUpdate):
			return &certificateRefusal{fmt.Sprintf("the revocation list of %q was to be renewed at %s; replace it and reload", c.Issuer.String(), list.NextUpdate.UTC().Format(time.RFC3339))}
		}
		for j := range list.RevokedCertificateEntries {
			if e := &list.RevokedCertificateEntries[j]; e.SerialNumber.Cmp(c.SerialNumber) == 0 {
				return &certificateRefusal{fmt.Sprintf("the certificate of %q was revoked at %s", c.Subject.String(), e.RevocationTime.UTC().Format(time.RFC3339))}
			}
		}
	}
	return nil
}
