package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// decodeExchange reads a payload of either kind. Members it does not know are
// ignored, so that a newer program's journal can still be read.
func decodeExchange(payload []byte) (*Exchange, error) {
	ex, ok := parseExchange(payload)
	if !ok {
		ex = new(Exchange)
		if err := json.Unmarshal(payload, ex); err != nil {
			return nil, fmt.Errorf("decode exchange record: %w", err)
		}
	}
	if ex.ID == "" {
		return nil, fmt.Errorf("decode exchange record: it has no id")
	}
	return ex, nil
}

// payloadID returns the id of a payload without decoding the rest: the encoder
// writes it first. Other JSON that decodes is accepted, only slower.
func payloadID(payload []byte) (string, error) {
	const head = `{"id":"`
	if bytes.HasPrefix(payload, []byte(head)) {
		rest := payload[len(head):]
		if i := bytes.IndexAny(rest, `"\`); i > 0 && rest[i] == '"' {
			return string(rest[:i]), nil
		}
	}
	ex, err := decodeExchange(payload)
	if err != nil {
		return "", err
	}
	return ex.ID, nil
}
