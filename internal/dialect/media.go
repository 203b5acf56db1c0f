package dialect

import (
	"encoding/base64"
	"strings"
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
