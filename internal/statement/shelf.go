package statement

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Shelf keeps the statements that a site has made, a file each, so that a number
// is given once and a month that was stated stays as it was. It is a folder; what
// is in it may be copied elsewhere, and must not be removed.
type Shelf struct{ dir string }

// NewShelf is the shelf in a directory, which is made when the first statement
// comes.
func NewShelf(dir string) *Shelf { return &Shelf{dir} }

// kept is a statement on the shelf.
type kept struct {
	*Signed
	file []byte
}

// list returns the statements for a customer in the order of their numbers.
func (s *Shelf) list(customer string) ([]kept, error) {
	dir := s.folder(customer)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the statements made so far cannot be read: %w", err)
	}
	var out []kept
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue
		}
		path := filepath.Join(dir, e.Name())
		file, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("the statements made so far cannot be read: %w", err)
		}
		signed, err := Open(file)
		if err == nil && !signed.signedBy(one(signed.Key)) {
			err = errors.New("its signature does not fit")
		}
		if err != nil {
			return nil, fmt.Errorf("%s was changed: %w; put back the copy that was handed out", path, err)
		}
		out = append(out, kept{signed, file})
	}
	slices.SortFunc(out, func(a, b kept) int { return int(a.Number - b.Number) })
	for i, k := range out {
		if k.Number != int64(i)+1 || k.Customer != customer {
			return nil, fmt.Errorf("%s holds number %d where number %d must be; put back the copy that was handed out", dir, k.Number, i+1)
		}
	}
	return out, nil
}

// put keeps the file of a statement. It fails with fs.ErrExist when there is one
// with its number.
func (s *Shelf) put(st *Statement, file []byte) error {
	dir := s.folder(st.Customer)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the statement cannot be kept: %w", err)
	}
	if err := writeNew(filepath.Join(dir, fmt.Sprintf("%06d.json", st.Number)), file, 0o600); err != nil {
		return fmt.Errorf("the statement cannot be kept: %w", err)
	}
	return nil
}

// folder is where the statements for a customer are: readable, and another one
// for each customer whatever the file system thinks of its name.
func (s *Shelf) folder(customer string) string {
	if customer == "" {
		return filepath.Join(s.dir, "all")
	}
	slug := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(customer))
	sum := sha256.Sum256([]byte(customer))
	return filepath.Join(s.dir, "customer-"+slug[:min(len(slug), 32)]+"-"+hex.EncodeToString(sum[:8]))
}
