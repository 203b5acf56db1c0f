// Package owner remembers which target keeps an object that a client was told
// the id of: a stored response, a file, a batch; and who may come back for it.
//
// It owns an index from ids to [Object]s, bounded in memory and on disk, and its
// two files in the state directory. It never asks a target and never decides who
// may reach an object beyond [Object.BelongsTo].
//
// Start reading at [Index.Put]. An Index is safe for concurrent use.
package owner

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// The index has two generations. What is new or used goes into the young one;
// when that is full it becomes the old one, and what was in the old one and has
// not been used since is forgotten. Each generation is a file of lines that is
// only appended to, so there is nothing to compact: memory and disk are bounded
// by two generations. Lines are not synced: they survive the death of the
// process, and the last ones may be lost with the power.

// DefaultGeneration is how many objects one generation has unless Open is told
// otherwise; an object takes about 200 bytes.
const DefaultGeneration = 32 << 10

// Object is one object at a target.
type Object struct {
	Target   string `json:"target"`
	Model    string `json:"model,omitempty"` // as the client called it, where one was named
	Key      string `json:"key"`             // public id of the key that made it
	Name     string `json:"name,omitempty"`  // of the key
	Customer string `json:"customer,omitempty"`
	// Settled says that what the object costs is in the ledger.
	Settled bool `json:"settled,omitempty"`
}

// BelongsTo reports whether who calls with a key, for a customer, may reach the
// object: every key of the customer it was made for, and nobody for another; where
// it was made for none, the key that made it.
func (o Object) BelongsTo(key, customer string) bool {
	if o.Customer != "" {
		return o.Customer == customer
	}
	return o.Key == key
}

// line is one entry of a file.
type line struct {
	ID   string `json:"id"`
	Gone bool   `json:"gone,omitempty"`
	Object
}

// Index is the index. Its zero value is not usable: [Open] makes one.
type Index struct {
	dir   string
	limit int

	mu         sync.Mutex
	young, old map[string]Object
	file       *os.File // of the young generation; nil without a directory
	words      map[string]string
}

const (
	youngFile = "owners.jsonl"
	oldFile   = "owners.old.jsonl"
)

// Open reads the index in a directory, which must exist; an empty dir means
// memory alone. limit is the size of a generation; 0 is DefaultGeneration. A line
// that cannot be read, as a crash may leave one at the end, is passed over.
func Open(dir string, limit int) (*Index, error) {
	if limit <= 0 {
		limit = DefaultGeneration
	}
	x := &Index{dir: dir, limit: limit, young: map[string]Object{}, old: map[string]Object{}, words: map[string]string{}}
	if dir == "" {
		return x, nil
	}
	if err := x.load(oldFile); err != nil {
		return nil, err
	}
	x.old, x.young = x.young, map[string]Object{}
	if err := x.load(youngFile); err != nil {
		return nil, err
	}
	return x, x.begin()
}

// load reads one file into the young generation.
func (x *Index) load(name string) error {
	text, err := os.ReadFile(filepath.Join(x.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the owners of objects: %w", err)
	}
	in := bufio.NewScanner(bytes.NewReader(text))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var l line
		if json.Unmarshal(in.Bytes(), &l) != nil || l.ID == "" {
			continue
		}
		delete(x.old, l.ID)
		if l.Gone {
			delete(x.young, l.ID)
			continue
		}
		x.young[l.ID] = x.shared(l.Object)
	}
	return nil
}

// shared makes objects that name the same target and key share the text.
func (x *Index) shared(o Object) Object {
	for _, s := range []*string{&o.Target, &o.Model, &o.Key, &o.Name, &o.Customer} {
		known, ok := x.words[*s]
		if !ok {
			if len(x.words) > 4096 {
				clear(x.words)
			}
			known = *s
			x.words[known] = known
		}
		*s = known
	}
	return o
}

// begin opens the young generation's file to append to.
func (x *Index) begin() error {
	f, err := os.OpenFile(filepath.Join(x.dir, youngFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the owners of objects: %w", err)
	}
	x.file = f
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		_, err = f.WriteString("\n") // whatever a crash cut off ends here
		return err
	}
	return nil
}

// Put notes an object, or what has changed of one. The object is known from here
// on even when the error says that its line was not written.
func (x *Index) Put(id string, o Object) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.put(id, o)
}

func (x *Index) put(id string, o Object) error {
	if have, ok := x.young[id]; ok && have == o {
		return nil
	}
	var err error
	if _, known := x.young[id]; !known && len(x.young) >= x.limit {
		err = x.turn()
	}
	delete(x.old, id)
	o = x.shared(o)
	x.young[id] = o
	return errors.Join(err, x.write(line{ID: id, Object: o}))
}

// turn makes the young generation the old one.
func (x *Index) turn() error {
	x.old, x.young = x.young, map[string]Object{}
	if x.file == nil {
		return nil
	}
	err := errors.Join(x.file.Close(), os.Rename(filepath.Join(x.dir, youngFile), filepath.Join(x.dir, oldFile)))
	x.file = nil
	return errors.Join(err, x.begin())
}

func (x *Index) write(l line) error {
	if x.file == nil {
		return nil
	}
	text, err := json.Marshal(l)
	if err == nil {
		_, err = x.file.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the owner of an object: %w", err)
	}
	return nil
}

// Get finds an object. One that is used stays known longer.
func (x *Index) Get(id string) (Object, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if o, ok := x.young[id]; ok {
		return o, true
	}
	o, ok := x.old[id]
	if ok {
		_ = x.put(id, o) // it was found; a line that is missing only makes it older
	}
	return o, ok
}

// Settle has record write down what an object costs, unless that was done, and
// notes that it was. Of any number of callers one records; when record fails the
// next one does. A process that dies between the two records again after its next
// start, so what is recorded needs a name by which it is known again.
func (x *Index) Settle(id string, record func(Object) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	o, ok := x.young[id]
	if !ok {
		o, ok = x.old[id]
	}
	if !ok || o.Settled {
		return nil
	}
	if err := record(o); err != nil {
		return err
	}
	o.Settled = true
	return x.put(id, o)
}

// Delete forgets an object.
func (x *Index) Delete(id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.young, id)
	delete(x.old, id)
	return x.write(line{ID: id, Gone: true})
}

// Len is the number of objects that are known.
func (x *Index) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.young) + len(x.old)
}

// Close closes the file. What is put later is kept in memory alone.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.file == nil {
		return nil
	}
	err := x.file.Close()
	x.file = nil
	return err
}
