package dialect

import (
	"encoding/base64"
	"net/url"
	"strings"

	"tailplane/internal/llm"
)

// dataURL splits data:TYPE;base64,DATA. It is false for every other address,
// and for spellings that could not be put together again.
func dataURL(url string) (mime, data string, ok bool) {
	rest, found := strings.CutPrefix(url, "data:")
	if !found {
		return "", "", false
	}
	mime, data, found = strings.Cut(rest, ";base64,")
	if !found || mime == "" || data == "" || strings.ContainsAny(mime, ";,") {
		return "", "", false
	}
	return mime, data, true
}

// inlineURL is the address that dataURL splits.
func inlineURL(mime, data string) string { return "data:" + mime + ";base64," + data }

// audioFormat is the bare name of a sound's format: "audio/x-wav" is "wav".
func audioFormat(mime string) string {
	name := strings.TrimPrefix(mime[strings.IndexByte(mime, '/')+1:], "x-")
	switch name {
	case "mpeg":
		return "mp3"
	case "wave", "vnd.wave":
		return "wav"
	}
	return name
}

// isBase64 reports whether s is base64 in the standard alphabet.
func isBase64(s string) bool {
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil && s != ""
}

// inlineMedia turns a data: URL into inline data; other media stay.
func inlineMedia(m llm.Media) (llm.Media, bool) {
	address := m.URL
	if address == "" {
		address = m.Data
	}
	rest, ok := strings.CutPrefix(address, "data:")
	if !ok {
		return m, true
	}
	head, data, ok := strings.Cut(rest, ",")
	if !ok {
		return m, false
	}
	kind, coded := strings.CutSuffix(head, ";base64")
	if kind, _, _ = strings.Cut(kind, ";"); kind != "" {
		m.Type = kind
	}
	if !coded {
		text, err := url.PathUnescape(data)
		if err != nil {
			return m, false
		}
		data = base64.StdEncoding.EncodeToString([]byte(text))
	}
	m.URL, m.Data = "", data
	return m, data != ""
}

// sniffMedia finds the type of inline media by how its base64 begins.
func sniffMedia(data string) string {
	for _, s := range []struct{ head, kind string }{
		{"iVBORw0KGgo", "image/png"},
		{"/9j/", "image/jpeg"},
		{"R0lGOD", "image/gif"},
		{"UklGR", "image/webp"},
		{"JVBERi0", "application/pdf"},
	} {
		if strings.HasPrefix(data, s.head) {
			return s.kind
		}
	}
	return ""
}
