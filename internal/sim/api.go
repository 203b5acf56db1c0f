package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Rules of this file: errors have vLLM's OpenAI-shaped body; code is the HTTP
// status as a number unless OpenAI gives it a name.

// apiError is an answer that is not 200.
type apiError struct {
	status  int
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   any    `json:"param"`
	Code    any    `json:"code"`
}

// Error makes apiError an error for the request decoders.
func (e *apiError) Error() string { return e.Message }

func (e *apiError) body() []byte {
	b, _ := json.Marshal(map[string]*apiError{"error": e}) // strings and numbers always marshal
	return b
}

func badRequest(param, format string, args ...any) *apiError {
	e := &apiError{
		status: http.StatusBadRequest, Type: "BadRequestError",
		Message: fmt.Sprintf(format, args...), Code: http.StatusBadRequest,
	}
	if param != "" {
		e.Param = param
	}
	return e
}

func notFound(message string) *apiError {
	return &apiError{status: http.StatusNotFound, Type: "NotFoundError", Message: message, Code: http.StatusNotFound}
}

func unavailable(message string) *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, Type: "ServiceUnavailableError",
		Message: message, Code: http.StatusServiceUnavailable,
	}
}

func internalError() *apiError {
	return &apiError{
		status: http.StatusInternalServerError, Type: "InternalServerError",
		Message: "The simulated engine failed.", Code: http.StatusInternalServerError,
	}
}

func rateLimited(model string) *apiError {
	return &apiError{
		status: http.StatusTooManyRequests, Type: "requests",
		Message: "Rate limit reached for `" + model + "` (simulated).", Code: "rate_limit_exceeded",
	}
}

// writeError sends err: an apiError as it is, a failed start as 503, anything
// else as 500.
func writeError(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*apiError](err)
	switch {
	case ok:
	case errors.Is(err, ErrQueueFull):
		e = unavailable("The simulated engine's queue is full.")
	case errors.Is(err, ErrTooLong):
		e = badRequest("", "%s", err)
	case errors.Is(err, errStopped):
		e = unavailable("The simulator is not running.")
	default:
		e = internalError()
	}
	writeBody(w, e.status, e.body())
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		writeError(w, err)
		return
	}
	writeBody(w, http.StatusOK, b)
}

func writeBody(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that has left is seen by the caller's context
}

// read decodes the request body into v.
func (s *Server) read(w http.ResponseWriter, r *http.Request, v any) error {
	var b bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= s.opt.MaxBody {
		b.Grow(int(n) + bytes.MinRead)
	}
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, s.opt.MaxBody))
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		e := badRequest("", "The body is larger than %d bytes.", tooBig.Limit)
		e.status, e.Code = http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge
		return e
	}
	if err != nil {
		return badRequest("", "The body cannot be read: %s.", err)
	}
	return decode(b.Bytes(), v)
}

// decode reads JSON; every failure is a 400 that names the field where known.
func decode(b []byte, v any) error {
	err := json.Unmarshal(b, v)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badRequest(t.Field, "%s has the wrong type: got %s.", t.Field, t.Value)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || len(b) == 0 {
		return badRequest("", "The body is empty or cut short: want a JSON object.")
	}
	return badRequest("", "The body is not valid JSON: %s.", err)
}

// lookup finds the model a request names.
func (s *Server) lookup(id string) (*model, error) {
	if id == "" {
		return nil, badRequest("model", "The field `model` is missing.")
	}
	m := s.byID[id]
	if m == nil {
		e := notFound("The model `" + id + "` does not exist.")
		e.Param = "model"
		return nil, e
	}
	return m, nil
}

// appendQuoted appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, as encoding/json has it.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}
