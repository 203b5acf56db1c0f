package llmtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"tailplane/internal/wire"
)

// AWS's binary frames as lines of text, in scripts and in expectations:
//
//	@frame messageStop {"stopReason":"end_turn"}
//	@exception throttlingException {"message":"slow down"}
//	@chunk {"type":"message_stop"}    InvokeModel's frame around an event
//	@half chunk {"type":"ping"}       the first half of one of them

// parseFrame is the bytes of a line; false when it stands for none.
func parseFrame(line string) ([]byte, bool) {
	word, rest, _ := strings.Cut(strings.TrimPrefix(line, "@"), " ")
	switch word {
	case "frame":
		name, data, _ := strings.Cut(rest, " ")
		return wire.AppendFrame(nil, name, []byte(data)), true
	case "exception":
		name, data, _ := strings.Cut(rest, " ")
		return wire.AppendException(nil, name, []byte(data)), true
	case "chunk":
		return wire.AppendFrame(nil, "chunk", fmt.Appendf(nil, `{"bytes":%q}`, base64.StdEncoding.EncodeToString([]byte(rest)))), true
	case "half":
		raw, ok := parseFrame("@" + rest)
		return raw[:len(raw)/2], ok
	}
	return nil, false
}

// Frames writes a stream of frames as lines. What is no whole frame is a last
// line that says so.
func Frames(stream []byte) []byte {
	var out bytes.Buffer
	var frames wire.EventReader
	frames.ResetFrames(bytes.NewReader(stream), wire.EventStream, 0)
	defer frames.Release()
	var err error
	for err == nil {
		err = frames.Fill()
		for ev, ok := frames.Next(); ok; ev, ok = frames.Next() {
			var chunk struct{ Bytes []byte }
			switch {
			case ev.Exception:
				fmt.Fprintf(&out, "@exception %s %s\n", ev.Name, ev.Data)
			case string(ev.Name) == "chunk" && json.Unmarshal(ev.Data, &chunk) == nil:
				fmt.Fprintf(&out, "@chunk %s\n", chunk.Bytes)
			default:
				fmt.Fprintf(&out, "@frame %s %s\n", ev.Name, ev.Data)
			}
		}
	}
	if err != io.EOF {
		fmt.Fprintf(&out, "@broken %v\n", err)
	}
	return out.Bytes()
}
