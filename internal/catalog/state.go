package catalog

import (
	"bufio"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What the state directory keeps. An empty directory keeps nothing.
const (
	bundleFile = "catalog.bundle"
	keysFile   = "catalog.keys"   // a line for each key: base64, then a name
	newestFile = "catalog.newest" // the newest version that was ever taken
)

// Load is the catalogue of a config and a state directory: the file that the
// config names, else the one that was installed, else the built-in one. The
// error says why one that is there is refused, and the catalogue is then the
// built-in one; or why the version that was taken could not be noted. A noted
// version keeps older ones from being taken later. The catalogue is nil only
// when the program itself is damaged.
func Load(cfg Config, dir string) (*Catalog, error) {
	embedded, err := Embedded()
	if err != nil {
		return nil, err
	}
	path := cfg.File
	if path == "" && dir != "" {
		path = filepath.Join(dir, bundleFile)
	}
	if path == "" {
		return embedded, nil
	}
	data, err := readBundle(path)
	if cfg.File == "" && errors.Is(err, fs.ErrNotExist) {
		return embedded, nil
	}
	if err != nil {
		return embedded, err
	}
	c, err := open(data, cfg, dir, embedded.Made)
	if err != nil {
		return embedded, fmt.Errorf("%s: %w", path, err)
	}
	return c, note(dir, c.Made)
}

// Install verifies a bundle and puts it into the state directory.
func Install(data []byte, cfg Config, dir string) (*Catalog, error) {
	embedded, err := Embedded()
	if err != nil {
		return nil, err
	}
	c, err := open(data, cfg, dir, embedded.Made)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := replace(filepath.Join(dir, bundleFile), data); err != nil {
		return nil, err
	}
	return c, note(dir, c.Made)
}

// Read is the bytes of a bundle's file.
func Read(path string) ([]byte, error) { return readBundle(path) }

func readBundle(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = fmt.Errorf("%s: %w", path, ErrNoBundle)
	}
	return data, err
}

// open verifies a bundle, and that it is no step back.
func open(data []byte, cfg Config, dir string, atLeast time.Time) (*Catalog, error) {
	keys, err := Keys(cfg, dir)
	if err != nil {
		return nil, err
	}
	c, err := Open(data, keys)
	if err != nil {
		return nil, err
	}
	newest, err := newest(dir)
	if err != nil {
		return nil, err
	}
	if newest.Before(atLeast) {
		newest = atLeast
	}
	if c.Made.Before(newest) {
		return nil, &RollbackError{c.Made, newest}
	}
	return c, nil
}

// Keys are the keys that a config and a state directory trust.
func Keys(cfg Config, dir string) ([]ed25519.PublicKey, error) {
	keys := cfg.Trusted()
	if dir == "" {
		return keys, nil
	}
	f, err := os.Open(filepath.Join(dir, keysFile))
	if errors.Is(err, fs.ErrNotExist) {
		return keys, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		text, _, _ := strings.Cut(strings.TrimSpace(in.Text()), " ")
		if text == "" {
			continue
		}
		key, err := ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Trust adds a key to those of a state directory; false when it is there.
func Trust(dir string, key ed25519.PublicKey, name string) (added bool, err error) {
	keys, err := Keys(Config{}, dir)
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		if k.Equal(key) {
			return false, nil
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	f, err := os.OpenFile(filepath.Join(dir, keysFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	_, err = fmt.Fprintln(f, strings.TrimSpace(FormatKey(key)+" "+strings.Join(strings.Fields(name), " ")))
	return err == nil, errors.Join(err, f.Close())
}

// newest is the newest version that was ever taken.
func newest(dir string) (time.Time, error) {
	if dir == "" {
		return time.Time{}, nil
	}
	path := filepath.Join(dir, newestFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(text)))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is damaged: %w; write the newest version into it, or remove it", path, err)
	}
	return t, nil
}

// note remembers a version that was taken.
func note(dir string, made time.Time) error {
	old, err := newest(dir)
	if err != nil || dir == "" || !made.After(old) {
		return err
	}
	return replace(filepath.Join(dir, newestFile), []byte(made.Format(time.RFC3339Nano)+"\n"))
}

// replace writes a file so that it is whole whatever happens.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".catalog-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
