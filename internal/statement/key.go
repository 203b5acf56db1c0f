package statement

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tailplane/internal/catalog"
)

// The files of a site's key pair, in the state directory. The public one is for
// people, to hand on; the program reads the private one alone.
const (
	KeyFile    = "statement.key" // Ed25519, PKCS #8 in PEM
	PublicFile = "statement.pub" // base64 of 32 bytes
)

// OpenKey returns the key with which a site signs, and makes it on first use. Its
// errors repeat nothing of the key.
func OpenKey(dir string) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, KeyFile)
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	public, _ := key.Public().(ed25519.PublicKey) // it is one
	text := []byte(catalog.FormatKey(public) + "\n")
	at := filepath.Join(dir, PublicFile)
	if have, err := os.ReadFile(at); err == nil && bytes.Equal(have, text) {
		return key, nil
	}
	if err := os.WriteFile(at, text, 0o600); err != nil {
		return nil, fmt.Errorf("the public key of statements cannot be written: %w", err)
	}
	return key, nil
}

func readKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the key of statements cannot be read: %w", err)
	}
	key, err := catalog.ParseSigner(text)
	if err != nil {
		return nil, fmt.Errorf("%s holds no Ed25519 key in PEM: put back the one that was there, so that what it signed goes on", path)
	}
	return key, nil
}

// makeKey writes a new key whole or not at all, and never over another one. Of
// two that make one at once, both go on with the same.
func makeKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := catalog.FormatSigner(key)
	if err != nil {
		return nil, err
	}
	err = writeNew(path, text, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return readKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("the key of statements cannot be made: %w", err)
	}
	return key, nil
}

// writeNew makes a file that appears with its content, or fails with
// fs.ErrExist when there is one.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
