package statement

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// mostBytes bounds a file that is read.
const mostBytes = 64 << 20

// envelope is a statement's file.
type envelope struct {
	Statement json.RawMessage `json:"statement"`
	Digest    string          `json:"digest"`    // of the canonical body; see Digest
	Signature string          `json:"signature"` // of the canonical body by Ed25519, in base64
	Key       string          `json:"key"`       // the public key that it verifies with, in base64
}

// Signed is a statement with its signature. What [Open] returned has the form of
// a statement; only [Verify] says whether it holds.
type Signed struct {
	Statement
	Digest    string // of the canonical body, as it is; the file's own word for it is stated
	Key       ed25519.PublicKey
	stated    string
	signature []byte
	body      []byte // canonical
}

// Sign signs the statement and returns its file. The same statement and key give
// the same bytes.
func Sign(s Statement, key ed25519.PrivateKey) ([]byte, error) {
	body, err := s.canonical()
	if err != nil {
		return nil, err
	}
	public, _ := key.Public().(ed25519.PublicKey) // it is one
	signed := Signed{Statement: s, Digest: digest(body), Key: public, signature: ed25519.Sign(key, body)}
	signed.stated = signed.Digest
	return signed.File()
}

// File writes the statement's file as [Sign] does, with the signature that it
// has.
func (s *Signed) File() ([]byte, error) {
	raw, err := plainJSON(s.Statement)
	if err != nil {
		return nil, err
	}
	file, err := json.MarshalIndent(envelope{
		Statement: raw, Digest: s.stated,
		Signature: base64.StdEncoding.EncodeToString(s.signature),
		Key:       base64.StdEncoding.EncodeToString(s.Key),
	}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return append(ascii(file), '\n'), nil
}

// digest names a statement: "sha256:" and the hex of its canonical body's sum.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *Statement) canonical() ([]byte, error) {
	raw, err := plainJSON(s)
	if err != nil {
		return nil, err
	}
	v, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return canonical(nil, v), nil
}

func plainJSON(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return raw, nil
}

// Open reads a statement's file. It checks the form, and not what it says.
func Open(file []byte) (*Signed, error) {
	if len(file) > mostBytes {
		return nil, errors.New("the file is larger than a statement can be")
	}
	v, err := parse(file)
	if err != nil {
		return nil, fmt.Errorf("the file is no statement: %w", err)
	}
	outer, _ := v.(object)
	inner, _ := outer.get("statement").(object)
	if inner == nil || len(outer) != 4 {
		return nil, errors.New("the file is no statement: it must be an object with statement, digest, signature and key")
	}
	if got := inner.get("format"); got != Format {
		return nil, fmt.Errorf("the statement's format is %.60q, and this program reads %q; use a newer one", fmt.Sprint(got), Format)
	}
	s := &Signed{body: canonical(nil, inner)}
	if err := s.decode(); err != nil {
		return nil, err
	}
	s.Digest = digest(s.body)
	s.stated, _ = outer.get("digest").(string)
	if s.signature, err = fixed(outer.get("signature"), ed25519.SignatureSize); err != nil {
		return nil, fmt.Errorf("the file is no statement: its signature: %w", err)
	}
	if s.Key, err = fixed(outer.get("key"), ed25519.PublicKeySize); err != nil {
		return nil, fmt.Errorf("the file is no statement: its key: %w", err)
	}
	return s, nil
}

// decode reads the body, and makes sure that nothing in it is unread: what was
// signed and what is shown are the same.
func (s *Signed) decode() error {
	if err := json.Unmarshal(s.body, &s.Statement); err != nil {
		return fmt.Errorf("the statement cannot be read: %w", err)
	}
	again, err := s.canonical()
	if err != nil {
		return err
	}
	if !bytes.Equal(again, s.body) {
		at := 0
		for at < min(len(again), len(s.body)) && again[at] == s.body[at] {
			at++
		}
		return fmt.Errorf("the statement holds something that its format does not know, near %.60q", s.body[max(0, at-20):])
	}
	return nil
}

func fixed(v node, size int) ([]byte, error) {
	text, _ := v.(string)
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != size {
		return nil, fmt.Errorf("it must be the base64 of %d bytes", size)
	}
	return raw, nil
}

func one(key ed25519.PublicKey) []ed25519.PublicKey { return []ed25519.PublicKey{key} }

// signedBy reports whether one of the keys made the signature.
func (s *Signed) signedBy(keys []ed25519.PublicKey) bool {
	return slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool {
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, s.body, s.signature)
	})
}
