package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// decodeExchange reads a payload of either kind. Members it does not know are
// ignored, so that a newer program's journal can still be read.
func decodeExchange(payload []byte) (*Exchange, error) {
	ex := new(Exchange)
	if err := decodeInto(ex, string(payload)); err != nil {
		return nil, err
	}
	return ex, nil
}

// decodeInto is decodeExchange into an exchange whose attempts it uses again.
// The texts of the result are parts of payload.
func decodeInto(ex *Exchange, payload string) error {
	if !parseInto(ex, payload) {
		*ex = Exchange{}
		if err := json.Unmarshal([]byte(payload), ex); err != nil {
			return fmt.Errorf("decode exchange record: %w", err)
		}
	}
	if ex.ID == "" {
		return fmt.Errorf("decode exchange record: it has no id")
	}
	return nil
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
