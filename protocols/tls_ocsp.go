package protocols

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/crypto/ocsp"
)

// maxStaple is the bytes that an OCSP response may have: it goes out with every
// handshake.
const maxStaple = 64 << 10

// staple is a listener's certificate with the responder's word that it is not
// revoked.
type staple struct {
	with, without *tls.Certificate
	until         time.Time // zero: for good
}

// loadStaple reads the response of the file, which must be about pair, say that it
// is good, and be in force.
func loadStaple(file string, pair *tls.Certificate, now time.Time) (*staple, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tls.ocsp_file: %w", err)
	}
	until, err := checkStaple(raw, pair, now)
	if err != nil {
		return nil, fmt.Errorf("tls.ocsp_file %q: %w", file, err)
	}
	with := *pair
	with.OCSPStaple = raw
	return &staple{&with, pair, until}, nil
}

func checkStaple(raw []byte, pair *tls.Certificate, now time.Time) (until time.Time, err error) {
	if len(raw) > maxStaple {
		return until, fmt.Errorf("has more than %d bytes", maxStaple)
	}
	if len(pair.Certificate) < 2 {
		return until, errors.New("needs the issuer's certificate behind the server's in tls.cert_file")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return until, err
	}
	issuer, err := x509.ParseCertificate(pair.Certificate[1])
	if err != nil {
		return until, err
	}
	r, err := ocsp.ParseResponseForCert(raw, leaf, issuer)
	switch {
	case err != nil:
		return until, fmt.Errorf("is no OCSP response (DER) about the certificate of tls.cert_file: %w", err)
	case r.Status != ocsp.Good:
		return until, errors.New("says that the certificate of tls.cert_file is revoked or unknown; get another certificate")
	case now.Before(r.ThisUpdate):
		return until, fmt.Errorf("holds from %s on only; check the clock", r.ThisUpdate.UTC().Format(time.RFC3339))
	case !r.NextUpdate.IsZero() && now.After(r.NextUpdate):
		return until, fmt.Errorf("was to be renewed at %s; fetch a new one from the certificate's responder", r.NextUpdate.UTC().Format(time.RFC3339))
	}
	return r.NextUpdate, nil
}

// certificate leaves out a response past its time, which clients would refuse.
func (s *staple) certificate(now time.Time) *tls.Certificate {
	if !s.until.IsZero() && now.After(s.until) {
		return s.without
	}
	return s.with
}
