package policy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/facts"
	"tailplane/internal/secret"
)

// The files of the state directory.
const (
	pepperFile = "pepper"
	keysFile   = "keys.json" // of an earlier version
	takenOver  = keysFile + ".imported"
)

// shortestPepper bounds a pepper of the operator's: what can be guessed
// protects nothing.
const shortestPepper = 32

// loadPepper resolves the pepper of the config, or reads or makes that of a
// state directory.
func loadPepper(dir string, configured secret.Ref) (Pepper, error) {
	if configured.IsZero() {
		key, err := ownPepper(dir)
		return NewPepper(key), err
	}
	text, err := configured.Resolve()
	if err != nil {
		return Pepper{}, fmt.Errorf("keys.pepper: %w", err)
	}
	if len(text.Reveal()) < shortestPepper {
		return Pepper{}, fmt.Errorf("keys.pepper: %s has fewer than %d characters; `openssl rand -hex 32` makes one", configured, shortestPepper)
	}
	var key [32]byte
	if n, err := hex.Decode(key[:], []byte(text.Reveal())); len(text.Reveal()) != 2*len(key) || err != nil || n != len(key) {
		key = sha256.Sum256([]byte(text.Reveal())) // not the file of a state directory
	}
	return NewPepper(key), nil
}

func ownPepper(dir string) (key [32]byte, err error) {
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

// earlierKey is a key as an earlier version kept it.
type earlierKey struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Customer string    `json:"customer"`
	Models   []string  `json:"models"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	Hash     Hash      `json:"hash"`
}

// takeOver makes facts of the keys that an earlier version left in a state
// directory, and renames its file. It may be interrupted anywhere.
func (s *Store) takeOver(ctx context.Context, dir string, now time.Time) error {
	path := filepath.Join(dir, keysFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var list []earlierKey
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("%s is damaged: %w; restore it, or remove it and make new keys", path, err)
	}
	var batch []facts.Change
	customers := map[string]bool{}
	for _, k := range list {
		if k.ID == "" || k.Hash == (Hash{}) {
			return fmt.Errorf("%s is damaged: a key has no id or no hash; restore it, or remove it and make new keys", path)
		}
		if s.records[k.ID] != nil {
			continue
		}
		if at := (ref{account.Customer, k.Customer}); k.Customer != "" && !customers[k.Customer] && s.docs[at].revision == 0 {
			customers[k.Customer] = true
			batch = append(batch, facts.Change{Kind: facts.KindCustomer, Name: k.Customer, Body: json.RawMessage(`{}`)})
		}
		doc := keyDoc{
			KeySpec: KeySpec{Name: k.Name, Customer: k.Customer, Models: k.Models}, Created: k.Created, Expires: k.Expires,
			Secrets: []Secret{{Hash: k.Hash, Form: FormHMAC}},
		}
		body, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		batch = append(batch, facts.Change{Kind: facts.KindKey, Name: k.ID, Body: body})
	}
	for len(batch) > 0 {
		n := min(len(batch), facts.MostChanges)
		if _, err := s.facts.Apply(ctx, actorSelf, now, batch[:n]); err != nil {
			return fmt.Errorf("take over %s: %w", path, err)
		}
		batch = batch[n:]
	}
	if err := s.CatchUp(ctx, now); err != nil {
		return err
	}
	return os.Rename(path, filepath.Join(dir, takenOver))
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
