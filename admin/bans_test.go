package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

func (f *fake) Bans() []core.Ban { return f.bans }

func (f *fake) Ban(_ context.Context, b *core.Ban) error {
	if f.fault == nil {
		b.Source = core.BanStored
		f.bans = append(f.bans, *b)
	}
	return f.fault
}

func (f *fake) Unban(_ context.Context, kind core.BanKind, value string) (bool, error) {
	for i, b := range f.bans {
		if b.Kind == kind && b.Value == value {
			f.bans = append(f.bans[:i], f.bans[i+1:]...)
			return true, f.fault
		}
	}
	return false, nil
}

func body(text string) func(*http.Request) {
	return func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(text)) }
}

func TestBansAreMadeListedAndLifted(t *testing.T) {
	f := &fake{}
	s := newTestServer(f, nil)
	w := ask(s, "POST", "/api/v1/bans", body(`{"kind":"client_id","value":"a/b","reason":"stolen","for":"1h"}`))
	if w.Code != http.StatusCreated || len(f.bans) != 1 || f.bans[0].By != "admin" || f.bans[0].Reason != "stolen" || f.bans[0].Expires == 0 {
		t.Fatalf("%d %s %+v", w.Code, w.Body, f.bans)
	}
	if w := ask(s, "POST", "/api/v1/bans", body(`{"kind":"address","value":"10.0.0.0/8"}`)); w.Code != http.StatusCreated || !strings.Contains(w.Body.String(), `"source": "store"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s, "GET", "/api/v1/bans?kind=client_id", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"a/b"`) || strings.Contains(w.Body.String(), "10.0.0.0") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for path, want := range map[string]int{"/api/v1/bans/client_id/nobody": 404, "/api/v1/bans/client_id/a%2Fb": 204, "/api/v1/bans/address/10.0.0.0%2F8": 204} {
		if w := ask(s, "DELETE", path, nil); w.Code != want {
			t.Errorf("DELETE %s: %d %s", path, w.Code, w.Body)
		}
	}
	if len(f.bans) != 0 {
		t.Errorf("left: %+v", f.bans)
	}
}

func TestBansThatCannotBe(t *testing.T) {
	for text, want := range map[string]int{
		"": 400, "[]": 400, `{"kind":"client_id","value":"a","until":"x"}`: 400,
		`{"kind":"client_id","value":"a","for":"-1h"}`:                        400,
		`{"kind":"client_id","value":"a","expires":"2001-01-01T00:00:00Z"}`:   400,
		`{"kind":"client_id","value":"a","for":"1h","expires":"2999-01-01T"}`: 400,
	} {
		if w := ask(newTestServer(&fake{}, nil), "POST", "/api/v1/bans", body(text)); w.Code != want {
			t.Errorf("%s: %d %s", text, w.Code, w.Body)
		}
	}
	for fault, want := range map[error]int{
		core.Errorf(core.UnspecifiedError, "no"): 400, core.Errorf(core.QuotaExceeded, "full"): 409, errors.New("disk"): 503,
	} {
		if w := ask(newTestServer(&fake{fault: fault}, nil), "POST", "/api/v1/bans", body(`{"kind":"client_id","value":"a"}`)); w.Code != want {
			t.Errorf("%v: %d %s", fault, w.Code, w.Body)
		}
	}
	s := newTestServer(&fake{}, nil)
	anyone := func(r *http.Request) { r.Header.Del("Authorization") }
	for _, m := range []string{"GET", "POST"} {
		if w := ask(s, m, "/api/v1/bans", anyone); w.Code != 401 {
			t.Errorf("%s without the password: %d", m, w.Code)
		}
	}
}
