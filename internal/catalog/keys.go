package catalog

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// KeyID is a short name of a public key, to compare over the telephone.
func KeyID(key ed25519.PublicKey) string {
	s := sha256.Sum256(key)
	return hex.EncodeToString(s[:8])
}

// FormatKey writes a public key as ParseKey reads it.
func FormatKey(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

// ParseKey reads a public key: base64 of its 32 bytes, or PEM as OpenSSL writes
// it.
func ParseKey(text string) (ed25519.PublicKey, error) {
	text = strings.TrimSpace(text)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if key, ok := parsed.(ed25519.PublicKey); err == nil && ok {
			return key, nil
		}
		return nil, errors.New("the PEM block holds no Ed25519 public key")
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("a public key is the base64 of %d bytes, such as `tailplane catalog keygen` prints", ed25519.PublicKeySize)
	}
	return raw, nil
}

// ParseSigner reads the maker's private key: PKCS #8 in PEM, as `tailplane
// catalog keygen` or `openssl genpkey -algorithm ed25519` write it. Its errors
// repeat nothing of the text.
func ParseSigner(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the key file is no PEM; make one with `tailplane catalog keygen FILE`")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := parsed.(ed25519.PrivateKey); err == nil && ok {
		return key, nil
	}
	return nil, errors.New("the key file holds no Ed25519 private key; make one with `tailplane catalog keygen FILE`")
}

// FormatSigner writes a private key as ParseSigner reads it.
func FormatSigner(key ed25519.PrivateKey) ([]byte, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}
