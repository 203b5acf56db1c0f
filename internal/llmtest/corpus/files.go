package corpus

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tailplane/internal/wire"
)

// httprrMagic opens a trace of HTTP request and response pairs.
const httprrMagic = "httprr trace v1"

// parseHTTPRR reads lines of two lengths, each followed by exactly that many
// bytes of a raw request and a raw response.
func parseHTTPRR(data []byte) ([]Recording, error) {
	_, rest, _ := bytes.Cut(data, []byte("\n"))
	var out []Recording
	for len(bytes.TrimSpace(rest)) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		a, b, ok := strings.Cut(string(line), " ")
		asked, err1 := strconv.Atoi(a)
		answered, err2 := strconv.Atoi(strings.TrimSpace(b))
		if !ok || err1 != nil || err2 != nil || asked < 0 || answered < 0 || asked+answered > len(after) {
			return nil, fmt.Errorf("pair %d: wants a line with two lengths that fit the file, has %q", len(out), line)
		}
		r, err := parsePair(after[:asked], after[asked:asked+answered])
		if err != nil {
			return nil, fmt.Errorf("pair %d: %w", len(out), err)
		}
		out = append(out, r)
		rest = after[asked+answered:]
	}
	return out, nil
}

func parsePair(asked, answered []byte) (Recording, error) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(asked)))
	if err != nil {
		return Recording{}, fmt.Errorf("request: %w", err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return Recording{}, fmt.Errorf("request body: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answered)), req)
	if err != nil {
		return Recording{}, fmt.Errorf("response: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return Recording{}, fmt.Errorf("response body: %w", err)
	}
	answer, err = decompress(answer, resp.Header.Get("Content-Encoding"))
	if err != nil {
		return Recording{}, fmt.Errorf("response body: %w", err)
	}
	target := req.URL.String()
	if !req.URL.IsAbs() {
		target = "https://" + req.Host + target
	}
	r := Recording{Method: req.Method, URL: target, Status: resp.StatusCode, Header: resp.Header, Body: answer, ByteExact: true}
	if isObject(body) {
		r.Request = body
	}
	return r, nil
}

// parseChunks reads a file of event payloads, one in each line.
func parseChunks(name string, data []byte) ([]Recording, error) {
	r := Recording{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}}
	var events bytes.Buffer
	chat := false
	last := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		var head struct {
			Type    string          `json:"type"`
			Choices json.RawMessage `json:"choices"`
		}
		// A line that is no JSON is a fault of the stream, which is for the
		// reader of the recording to judge.
		if json.Unmarshal([]byte(line), &head) != nil {
			head.Type = typeOf(line)
		}
		chat = chat || head.Choices != nil
		if head.Type != "" && head.Choices == nil {
			fmt.Fprintf(&events, "event: %s\n", head.Type)
		}
		fmt.Fprintf(&events, "data: %s\n\n", line)
		last = line
	}
	if chat && last != "[DONE]" { // the fixture leaves it to its reader
		events.WriteString("data: [DONE]\n\n")
	}
	r.Body, r.URL = events.Bytes(), "file://fixture/"+name
	if frames := converseFrames(data); frames != nil {
		r.Body = frames
		r.Header.Set("Content-Type", wire.EventStream.ContentType())
	}
	return []Recording{r}, nil
}

// converseFrames are payloads that stand under the names of Bedrock's events, in
// the frames in which they came; nil when they are others.
func converseFrames(data []byte) (out []byte) {
	for line := range bytes.Lines(data) {
		var event map[string]json.RawMessage
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if json.Unmarshal(line, &event) != nil || len(event) != 1 {
			return nil
		}
		for name, payload := range event {
			if !slices.Contains(converseEvents, name) {
				return nil
			}
			out = wire.AppendFrame(out, name, payload)
		}
	}
	return out
}

var converseEvents = []string{
	"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
}

// typeOf reads the type that stands first in a payload that is no valid JSON.
func typeOf(line string) string {
	_, rest, ok := strings.Cut(line, `{"type":"`)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// parseAnswer reads a file that is one whole answer.
func parseAnswer(name string, data []byte) ([]Recording, error) {
	if !json.Valid(data) {
		return nil, errors.New("not valid JSON")
	}
	r := Recording{
		Status: http.StatusOK, URL: "file://fixture/" + name, Body: data,
		Header: http.Header{"Content-Type": {"application/json"}},
	}
	if isErrorAnswer(data) {
		r.Status = http.StatusBadRequest
	}
	return []Recording{r}, nil
}

// isErrorAnswer reports whether a body whose status is not known is an error
// envelope: an error member that says something, and nothing of an answer.
func isErrorAnswer(data []byte) bool {
	var head struct {
		Error   json.RawMessage `json:"error"`
		Choices json.RawMessage `json:"choices"`
		Output  json.RawMessage `json:"output"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(data, &head) != nil {
		return false
	}
	return len(head.Error) > 0 && string(head.Error) != "null" && head.Choices == nil && head.Output == nil && head.Content == nil
}

func isObject(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) > 0 && body[0] == '{' && json.Valid(body)
}

// errEncoding says that a body is compressed by a method that the standard
// library does not have.
var errEncoding = errors.New("the body's compression has no reader here")

// decompress undoes a content encoding that is still there: most recorders undo
// it themselves and keep the header.
func decompress(body []byte, encoding string) ([]byte, error) {
	switch {
	case len(body) > 2 && body[0] == 0x1f && body[1] == 0x8b:
		zr, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(zr)
	case len(body) > 4 && bytes.Equal(body[:4], []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return nil, fmt.Errorf("zstd: %w", errEncoding)
	case strings.EqualFold(encoding, "deflate") && len(body) > 2 && body[0] == 0x78:
		zr, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(zr)
	case (strings.EqualFold(encoding, "br") || strings.EqualFold(encoding, "zstd")) && !utf8.Valid(body):
		return nil, fmt.Errorf("%s: %w", encoding, errEncoding)
	}
	return body, nil
}
