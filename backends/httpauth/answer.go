package httpauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
)

// maxAnswer bounds an answer's body in bytes.
const maxAnswer = 64 << 10

// answer is what a server said.
type answer struct {
	verdict   core.Verdict
	superuser bool
	acl       any   // a list of access rules, nil for none
	expires   int64 // Unix seconds at which the login ends, 0 never
}

// judge reads an answer. What is neither yes nor no is an error.
func judge(r *http.Response, body []byte, onlyJSON bool) (answer, error) {
	switch code := r.StatusCode; {
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500, code < 200:
		return answer{}, fmt.Errorf("the server answers %d", code)
	case code >= 400:
		return answer{verdict: core.Deny}, nil
	case code == http.StatusNoContent && !onlyJSON:
		return answer{verdict: core.Allow}, nil
	case code != http.StatusOK:
		return answer{}, fmt.Errorf("the server answers %d, which is neither yes nor no", code)
	}
	text := bytes.TrimSpace(body)
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if onlyJSON || strings.EqualFold(strings.TrimSpace(kind), "application/json") || len(text) > 0 && text[0] == '{' {
		return judgeJSON(text)
	}
	switch strings.ToLower(string(text)) {
	case "ignore":
		return answer{verdict: core.Ignore}, nil
	case "deny":
		return answer{verdict: core.Deny}, nil
	}
	return answer{verdict: core.Allow}, nil
}

// judgeJSON reads {"result": "allow", "is_superuser": false, "acl": […], "expire_at": 1795867260}.
func judgeJSON(text []byte) (a answer, err error) {
	var v struct {
		Result    string `json:"result"`
		Superuser bool   `json:"is_superuser"`
		ACL       any    `json:"acl"`
		ExpireAt  *int64 `json:"expire_at"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return a, fmt.Errorf("the answer is no JSON that is understood: %w", err)
	}
	switch v.Result {
	case "allow":
		a.verdict = core.Allow
	case "deny":
		a.verdict = core.Deny
	case "ignore":
		a.verdict = core.Ignore
	default:
		return a, fmt.Errorf("the answer's result is %.20q, and none of allow, deny, ignore", v.Result)
	}
	a.superuser, a.acl = v.Superuser, v.ACL
	if v.ExpireAt != nil {
		if a.expires = *v.ExpireAt; a.expires <= 0 || a.expires > 1<<40 {
			return answer{}, errors.New("the answer's expire_at is no time in Unix seconds")
		}
	}
	return a, nil
}
