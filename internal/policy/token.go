package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"strings"

	"tailplane/internal/secret"
)

// A key's text is
//
//	sk-tp- LABEL- SECRET CHECKSUM
//
// with an optional label, 32 random bytes in 43 base-62 digits, and the CRC-32
// of all before it in 6 digits, so that a scanner for leaked keys can tell one
// from noise without asking anybody.
const (
	prefix         = "sk-tp-"
	secretDigits   = 43
	checksumDigits = 6
	digits         = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewToken makes the text of a key from 32 bytes of random.
func NewToken(random io.Reader, label string) (secret.Value, error) {
	var raw [32]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return secret.Value{}, fmt.Errorf("make a key: %w", err)
	}
	text := prefix
	if label != "" {
		text += label + "-"
	}
	text += base62(new(big.Int).SetBytes(raw[:]), secretDigits)
	return secret.Plain(text + checksum(text)), nil
}

// WellFormed reports whether text has the form and the checksum of one of our
// keys.
func WellFormed(text string) bool {
	cut := len(text) - checksumDigits
	return strings.HasPrefix(text, prefix) && cut >= len(prefix)+secretDigits && text[cut:] == checksum(text[:cut])
}

func checksum(text string) string {
	return base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(text)))), checksumDigits)
}

func base62(n *big.Int, width int) string {
	out := make([]byte, width)
	base, digit := big.NewInt(int64(len(digits))), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = digits[digit.Int64()]
	}
	return string(out)
}

// Hash is the only form in which a key is kept.
type Hash [sha256.Size]byte

// MarshalText gives the hash in hex.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads 64 hex digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("a hash has %d hex digits, not %d", 2*len(h), len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Pepper is a server's own secret without which the hashes of its keys are
// worth nothing. It is the key of HMAC-SHA-256 (RFC 2104), held as its two
// padded blocks so that hashing a key allocates nothing.
type Pepper struct{ inner, outer [sha256.BlockSize]byte }

// NewPepper prepares a secret of 32 bytes; a longer one than a block is
// refused by its caller, who makes it.
func NewPepper(key [32]byte) Pepper {
	var p Pepper
	copy(p.inner[:], key[:])
	copy(p.outer[:], key[:])
	for i := range p.inner {
		p.inner[i] ^= 0x36
		p.outer[i] ^= 0x5c
	}
	return p
}

// longestToken bounds what is hashed; no key that we know of is longer.
const longestToken = 512

// Hash is the HMAC of a key's text; ok is false for a text that no key can
// have.
func (p *Pepper) Hash(text string) (h Hash, ok bool) {
	if text == "" || len(text) > longestToken {
		return Hash{}, false
	}
	var buf [sha256.BlockSize + longestToken]byte
	n := copy(buf[:], p.inner[:])
	n += copy(buf[n:], text)
	inside := sha256.Sum256(buf[:n])
	n = copy(buf[:], p.outer[:])
	n += copy(buf[n:], inside[:])
	return sha256.Sum256(buf[:n]), true
}
