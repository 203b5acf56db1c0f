package catalog

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A bundle is one file:
//
//	tailplane-catalog 1 LF
//	header, one line of JSON LF
//	Ed25519 signature over both lines, base64 LF
//	the texts of the parts one after the other, as one gzip stream
//
// The header has the hash of the gzip stream, so nothing is unpacked that was
// not signed, and the sizes and hashes of the parts.

// format is the version of the form that this program writes and reads.
const format = 1

const magic = "tailplane-catalog "

// What a bundle may have at most.
const (
	MaxFile = 16 << 20 // of the file
	maxText = 64 << 20 // of all parts, unpacked
	maxHead = 64 << 10
)

// header is the signed line.
type header struct {
	Made  time.Time `json:"made"`
	Key   string    `json:"key"` // id of the public key that verifies it
	Parts []Part    `json:"parts"`
	Bytes int       `json:"bytes"`  // of the gzip stream
	Sum   string    `json:"sha256"` // of the gzip stream
}

// The reasons for which a bundle is refused. Each error says what is wrong and
// what to do.
var (
	ErrNoBundle = errors.New("this is no tailplane catalogue; ask its maker for the .bundle file")
	ErrFuture   = errors.New("the catalogue has a newer form than this program reads; update tailplane first, or ask for a catalogue of form 1")
	ErrNoKey    = errors.New("the catalogue is signed with a key that is not trusted here; compare its id with its maker, then `tailplane catalog trust KEY`, or name it under catalog.keys")
	ErrBadSign  = errors.New("the signature does not fit: the file was changed, or is damaged; fetch it again")
	ErrDamaged  = errors.New("the catalogue is damaged although its signature fits: its maker must build it again")
)

// RollbackError says that a bundle is older than what is known.
type RollbackError struct{ Made, Newest time.Time }

func (e *RollbackError) Error() string {
	return fmt.Sprintf("the catalogue of %s is older than that of %s, which is known here; a newer one is needed",
		e.Made.Format(time.RFC3339), e.Newest.Format(time.RFC3339))
}

// Bundle writes a catalogue as a signed file. The same catalogue and key give
// the same bytes.
func Bundle(c *Catalog, key ed25519.PrivateKey) ([]byte, error) {
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	for _, name := range partNames {
		if _, err := zip.Write(c.texts[name]); err != nil {
			return nil, err
		}
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	public := key.Public().(ed25519.PublicKey)
	h := header{Made: c.Made, Key: KeyID(public), Parts: c.Parts, Bytes: packed.Len(), Sum: sum(packed.Bytes())}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	signed := fmt.Appendf(nil, "%s%d\n%s\n", magic, format, line)
	out := base64.StdEncoding.AppendEncode(bytes.Clone(signed), ed25519.Sign(key, signed))
	out = append(append(out, '\n'), packed.Bytes()...)
	if len(out) > MaxFile || len(line) > maxHead {
		return nil, fmt.Errorf("the catalogue has %d bytes, more than a bundle may have", len(out))
	}
	return out, nil
}

// Open verifies a bundle with the keys that are trusted, and reads every line of
// it.
func Open(data []byte, keys []ed25519.PublicKey) (*Catalog, error) {
	h, packed, err := verify(data, keys)
	if err != nil {
		return nil, err
	}
	texts, err := unpack(h, packed)
	if err != nil {
		return nil, err
	}
	c, err := New(h.Made, texts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return c, nil
}

// verify returns the header and the gzip stream of a bundle that a trusted key
// has signed.
func verify(data []byte, keys []ed25519.PublicKey) (header, []byte, error) {
	var h header
	first, rest, ok1 := bytes.Cut(data, []byte("\n"))
	word, ok := bytes.CutPrefix(first, []byte(magic))
	if !ok || len(data) > MaxFile {
		return h, nil, ErrNoBundle
	}
	if string(word) != fmt.Sprint(format) {
		return h, nil, ErrFuture
	}
	line, rest, ok2 := bytes.Cut(rest, []byte("\n"))
	signature, packed, ok3 := bytes.Cut(rest, []byte("\n"))
	if !ok1 || !ok2 || !ok3 || len(line) > maxHead {
		return h, nil, ErrNoBundle
	}
	sign, err := base64.StdEncoding.Strict().DecodeString(string(signature))
	if err != nil {
		return h, nil, ErrBadSign
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, nil, ErrNoBundle
	}
	signed := data[:len(first)+1+len(line)+1]
	for _, key := range keys {
		if KeyID(key) != h.Key {
			continue
		}
		if !ed25519.Verify(key, signed, sign) || len(packed) != h.Bytes || sum(packed) != h.Sum {
			return h, nil, ErrBadSign
		}
		return h, packed, nil
	}
	return h, nil, fmt.Errorf("%w (key id %.16q)", ErrNoKey, h.Key)
}

// unpack cuts the stream into its parts.
func unpack(h header, packed []byte) (map[string][]byte, error) {
	all := 0
	for _, p := range h.Parts {
		if p.Bytes < 0 || p.Bytes > maxText {
			return nil, ErrDamaged
		}
		all += p.Bytes
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil || all > maxText {
		return nil, ErrDamaged
	}
	text, err := io.ReadAll(io.LimitReader(zip, int64(all)+1))
	if err != nil || len(text) != all {
		return nil, ErrDamaged
	}
	texts := map[string][]byte{}
	for _, p := range h.Parts {
		part := text[:p.Bytes:p.Bytes]
		if text = text[p.Bytes:]; sum(part) != p.Sum {
			return nil, ErrDamaged
		}
		texts[p.Name] = part
	}
	return texts, nil
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
