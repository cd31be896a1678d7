package admin

import (
	"encoding/json"
	"net/http"
)

// problem is the body of every answer that is not a success.
type problem struct {
	Code    string `json:"code"`           // stable, snake_case
	Message string `json:"message"`        // what is wrong, one line
	Hint    string `json:"hint,omitempty"` // what to do
}

// Error implements error.
func (p problem) Error() string { return p.Message }

func badRequest(message, hint string) error { return problem{"bad_request", message, hint} }

func fail(w http.ResponseWriter, status int, p problem) { reply(w, status, p) }

// failBad answers 400 with err, which is a problem.
func failBad(w http.ResponseWriter, err error) {
	p, ok := err.(problem)
	if !ok {
		p = problem{Code: "bad_request", Message: err.Error()}
	}
	fail(w, http.StatusBadRequest, p)
}

// reply writes v as JSON. A client that left is not our fault.
func reply(w http.ResponseWriter, status int, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"code":"internal","message":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}
