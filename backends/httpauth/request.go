package httpauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/backends/identity"
)

// kind is what a request may ask about.
type kind int

const (
	aboutClient kind = iota
	aboutLogin       // and its password
	aboutTopic       // and what it does
)

// values are what a request is filled with, by name.
type values map[string]string

// names are the variables that a request knows, and EMQ X's letters for them.
func names(k kind) map[string]string {
	all := map[string]string{
		"username": "u", "clientid": "c", "peerhost": "a", "protocol": "r", "listener": "", "cert_common_name": "C", "cert_subject": "d",
	}
	switch k {
	case aboutLogin:
		all["password"] = "P"
	case aboutTopic:
		all["topic"], all["action"], all["access"] = "t", "", "A"
	}
	return all
}

// piece is a part of a template: a variable, or text.
type piece struct{ name, text string }

type template []piece

// parse cuts a text at its variables; letters says that they may be written as %u, too.
func parse(text string, k kind, letters bool) (t template, err error) {
	known := names(k)
	literal := 0
	add := func(end int, name string, next int) {
		if end > literal {
			t = append(t, piece{text: text[literal:end]})
		}
		t = append(t, piece{name: name})
		literal = next
	}
	for i := 0; i+1 < len(text); i++ {
		switch {
		case text[i:i+2] == "${":
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("%s has no closing }", text[i:])
			}
			name := text[i+2 : i+end]
			if _, ok := known[name]; !ok {
				return nil, fmt.Errorf("${%s} is not known here; there are %s", name, list(known))
			}
			add(i, name, i+end+1)
			i += end
		case letters && text[i] == '%':
			name := letter(known, text[i+1])
			if name == "" {
				return nil, fmt.Errorf("%s is not known here; there are %s", text[i:i+2], list(known))
			}
			add(i, name, i+2)
			i++
		}
	}
	if literal < len(text) {
		t = append(t, piece{text: text[literal:]})
	}
	return t, nil
}

func letter(known map[string]string, c byte) string {
	for name, l := range known {
		if l == string(c) {
			return name
		}
	}
	return ""
}

func list(known map[string]string) string {
	var all []string
	for name, l := range known {
		text := "${" + name + "}"
		if l != "" {
			text += " (%" + l + ")"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (t template) fill(v values, escape func(string) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.name == "" {
			b.WriteString(p.text)
			continue
		}
		b.WriteString(escape(v[p.name]))
	}
	return b.String()
}

// question is a request that is ready to be filled.
type question struct {
	method      string
	json        bool
	path, query template // the URL up to its '?', and what follows
	params      []param
}

type param struct {
	name string
	text template
}

func (q *question) uses(name string) bool {
	in := func(t template) bool { return slices.ContainsFunc(t, func(p piece) bool { return p.name == name }) }
	return in(q.path) || in(q.query) || slices.ContainsFunc(q.params, func(p param) bool { return in(p.text) })
}

// compile checks a request and makes it ready. Faults begin with their key.
func (r *Request) compile(k kind) (*question, error) {
	var errs []error
	q := &question{method: strings.ToUpper(r.Method), json: r.Format == "json"}
	if q.method != http.MethodGet && q.method != http.MethodPost && q.method != http.MethodPut {
		errs = append(errs, fmt.Errorf("method: %q must be get, post or put", r.Method))
	}
	if r.Format != "form" && r.Format != "json" {
		errs = append(errs, fmt.Errorf("format: %q must be form or json", r.Format))
	}
	if r.URL != "" {
		errs = append(errs, q.setURL(r.URL, k))
	}
	for _, text := range r.Params {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			errs = append(errs, fmt.Errorf("params: %q must be NAME=TEXT", text))
			continue
		}
		t, err := parse(value, k, true)
		if err != nil {
			errs = append(errs, fmt.Errorf("params: %q: %w", text, err))
		}
		q.params = append(q.params, param{name, t})
	}
	return q, errors.Join(errs...)
}

func (q *question) setURL(text string, k kind) error {
	_, rest, _ := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	if strings.Contains(host, "${") {
		return errors.New("url: holds a variable where its host stands: clients would choose whom to ask")
	}
	path, query, _ := strings.Cut(text, "?")
	var err1, err2 error
	q.path, err1 = parse(path, k, false)
	q.query, err2 = parse(query, k, false)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	example := func(string) string { return "x" }
	if err := identity.CheckURL(q.path.fill(nil, example)); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	return nil
}

// errValue says that a client's names cannot be asked about.
var errValue = errors.New("a name of the client cannot stand in the request")

// request makes the request for one client.
func (q *question) request(v values) (*http.Request, error) {
	for _, p := range q.path {
		if s := v[p.name]; p.name != "" && (s == "" || s == "." || s == "..") { // would be another path
			return nil, fmt.Errorf("%w: ${%s} is %q in the path", errValue, p.name, s)
		}
	}
	address := q.path.fill(v, url.PathEscape)
	query := q.query.fill(v, url.QueryEscape)
	form := url.Values{}
	fields := map[string]string{}
	for _, p := range q.params {
		text := p.text.fill(v, func(s string) string { return s })
		form.Add(p.name, text)
		fields[p.name] = text
	}
	var body []byte
	kind := ""
	switch {
	case q.method == http.MethodGet:
		query = strings.Trim(query+"&"+form.Encode(), "&")
	case q.json:
		for name, text := range fields {
			if !utf8.ValidString(text) { // JSON has no way to write it
				return nil, fmt.Errorf("%w: %s is not UTF-8", errValue, name)
			}
		}
		body, kind = encode(fields), "application/json"
	default:
		body, kind = []byte(form.Encode()), "application/x-www-form-urlencoded"
	}
	if query != "" {
		address += "?" + query
	}
	r, err := http.NewRequest(q.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: the URL is none with them", errValue)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r, nil
}

// encode writes JSON as it would be written by hand: without \u003c for '<'.
func encode(fields map[string]string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(fields) // texts always can
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
