package policy

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/secret"
)

// Store keeps the keys that were made here: hashes only, in one file of the
// state directory, replaced whole and atomically. Readers never wait for a
// writer.
type Store struct {
	pepper Pepper
	path   string // empty: in memory only

	mu   sync.Mutex // serialises writers
	held atomic.Pointer[holding]
}

// holding is the keys of a store as they stand, found by hash and by access key
// id. It is immutable.
type holding struct {
	keys    map[Hash]*Key
	handles map[handle]*Key
}

func holds(keys map[Hash]*Key) *holding {
	h := &holding{keys, make(map[handle]*Key, len(keys))}
	for hash, key := range keys {
		h.handles[hash.handle()] = key
	}
	return h
}

// NewStore keeps everything in memory.
func NewStore(p Pepper) *Store {
	s := &Store{pepper: p}
	s.held.Store(holds(nil))
	return s
}

// The files of the state directory.
const (
	pepperFile = "pepper"
	keysFile   = "keys.json"
)

// mostKeys bounds the store; a plane with more has a leak somewhere.
const mostKeys = 1_000_000

// OpenStore reads the keys of a state directory, making its pepper on first
// use. An empty dir keeps everything in memory.
func OpenStore(dir string) (*Store, error) {
	key, err := loadPepper(dir)
	if err != nil {
		return nil, fmt.Errorf("open the key store: %w", err)
	}
	s := NewStore(NewPepper(key))
	if dir == "" {
		return s, nil
	}
	s.path = filepath.Join(dir, keysFile)
	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the key store: %w", err)
	}
	var list []*Key
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("open the key store: %s is damaged: %w; restore it, or remove it and make new keys", s.path, err)
	}
	keys := make(map[Hash]*Key, len(list))
	for _, k := range list {
		var h Hash
		if n, err := hex.Decode(h[:], []byte(k.Hash)); err != nil || n != len(h) {
			return nil, fmt.Errorf("open the key store: %s: key %q has no valid hash", s.path, k.ID)
		}
		keys[h] = k
	}
	s.held.Store(holds(keys))
	return s, nil
}

func loadPepper(dir string) (key [32]byte, err error) {
	if dir == "" {
		_, err = rand.Read(key[:])
		return key, err
	}
	path := filepath.Join(dir, pepperFile)
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := rand.Read(key[:]); err != nil {
			return key, err
		}
		return key, writeFile(path, []byte(hex.EncodeToString(key[:])))
	case err != nil:
		return key, err
	}
	if n, err := hex.Decode(key[:], raw); err != nil || n != len(key) {
		return key, fmt.Errorf("%s is damaged; without it no stored key can be recognised", path)
	}
	return key, nil
}

// Create makes a key and returns its text, which is nowhere kept. A zero
// lifetime makes one that does not expire. An ephemeral key lives as long as
// the process and is not written to the file.
func (s *Store) Create(k Key, label string, lifetime time.Duration, now time.Time, ephemeral bool) (secret.Value, *Key, error) {
	text, err := NewToken(rand.Reader, label)
	if err != nil {
		return secret.Value{}, nil, err
	}
	h, _ := s.pepper.Hash(text.Reveal())
	k.ID, k.Created, k.Hash = hex.EncodeToString(h[:4]), now.UTC(), hex.EncodeToString(h[:])
	if lifetime > 0 {
		k.Expires = now.Add(lifetime).UTC()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make(map[Hash]*Key, s.Len()+1)
	maps.Copy(keys, s.held.Load().keys)
	maps.DeleteFunc(keys, func(_ Hash, old *Key) bool { return !old.Expires.IsZero() && old.Expires.Before(now) })
	if len(keys) >= mostKeys {
		return secret.Value{}, nil, fmt.Errorf("the key store is full (%d keys)", len(keys))
	}
	keys[h] = &k
	if !ephemeral {
		if err := s.save(keys); err != nil {
			return secret.Value{}, nil, err
		}
	}
	s.held.Store(holds(keys))
	return text, &k, nil
}

// save replaces the file. Keys with an expiry of less than a day are not worth
// a place in it.
func (s *Store) save(keys map[Hash]*Key) error {
	if s.path == "" {
		return nil
	}
	list := make([]*Key, 0, len(keys))
	for _, k := range keys {
		if k.Expires.IsZero() || k.Expires.Sub(k.Created) >= 24*time.Hour {
			list = append(list, k)
		}
	}
	raw, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(s.path, append(raw, '\n')); err != nil {
		return fmt.Errorf("keep the key: %w", err)
	}
	return nil
}

// writeFile replaces a file so that a crash leaves the old or the new one.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (s *Store) find(h Hash) *Key { return s.held.Load().keys[h] }

func (s *Store) at(h handle) *Key { return s.held.Load().handles[h] }

// Len is the number of keys, expired ones included.
func (s *Store) Len() int { return len(s.held.Load().keys) }
