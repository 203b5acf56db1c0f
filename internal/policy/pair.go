package policy

import (
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"tailplane/internal/secret"
)

// A key can stand as an AWS key pair, so that an SDK of AWS's signs with it
// where others show its text. Nothing of the pair is kept:
//
//	id      TPAK and the first 80 bits of the key's hash, in 16 digits of base 32
//	secret  HMAC(HMAC(pepper, "tailplane\x00aws secret"), id), in hex
//
// The id hangs on the key's hash, so that each text of a key has a pair, which ends with it.
// The label holds a byte that the text of no key in a header can hold, so that
// no hash of a key is ever the key of a secret.

// Pair is the AWS key pair of a key.
type Pair struct {
	ID     string // access key id
	Secret secret.Value
}

const (
	pairPrefix = "TPAK"
	pairLabel  = "tailplane\x00aws secret"
)

// handle is what an access key id holds of a hash.
type handle [10]byte

var pairDigits = base32.StdEncoding

func (h Hash) handle() handle { return handle(h[:len(handle{})]) }

// pairID is the access key id of a hash.
func (h Hash) pairID() string {
	at := h.handle()
	return pairPrefix + pairDigits.EncodeToString(at[:])
}

// handleOf reads an access key id.
func handleOf(id string) (at handle, ok bool) {
	text, ok := strings.CutPrefix(id, pairPrefix)
	if !ok || len(text) != pairDigits.EncodedLen(len(at)) {
		return at, false
	}
	n, err := pairDigits.Decode(at[:], []byte(text))
	return at, err == nil && n == len(at)
}

// pair makes the pair of an access key id.
func (p *Pepper) pair(id string) Pair {
	label, _ := p.Hash(pairLabel)
	own := NewPepper(label)
	sum, _ := own.Hash(id)
	return Pair{id, secret.Plain(hex.EncodeToString(sum[:]))}
}

// FindPair returns the key whose access key id it is, with the secret that its
// owner signs with; nil when there is none, or it opens nothing any more. Where no key is
// required an id that is not ours is the anonymous caller, with no secret. It
// looks into memory alone and compares no secret.
func (k *Keys) FindPair(id string, now time.Time) (*Key, secret.Value) {
	if at, ok := handleOf(id); ok {
		if e := k.dir.Load().index.handled(at); e != nil {
			if !e.opens(now) {
				return nil, secret.Value{}
			}
			e.key.touch(now)
			return e.key, k.store.pepper.pair(id).Secret
		}
	}
	if k.required {
		return nil, secret.Value{}
	}
	return k.nobody, secret.Value{}
}

// What PairOf refuses.
var (
	ErrNoKey   = errors.New("there is no key with that name or id")
	ErrSeveral = errors.New("several keys have that name")
)

// PairOf returns the pair of the key with a name or an id, for the person who
// configures an SDK with it: that of its newest text. It is the same each time.
// It looks at every key.
func (k *Keys) PairOf(name string, now time.Time) (Pair, *Key, error) {
	var found *Key
	for key := range k.dir.Load().keys {
		switch {
		case key.Name != name && key.ID != name || key.lack(now) != "" || key.newest(now) == nil:
		case found != nil:
			return Pair{}, nil, fmt.Errorf("%w: %s, %s and perhaps more; name one by its id", ErrSeveral, found.ID, key.ID)
		default:
			found = key
		}
	}
	if found == nil {
		return Pair{}, nil, ErrNoKey
	}
	return k.store.pepper.pair(found.newest(now).Hash.pairID()), found, nil
}

// newest is the key's newest text that still opens it, or nil.
func (k *Key) newest(now time.Time) *Secret {
	for i := len(k.Secrets) - 1; i >= 0; i-- {
		if s := &k.Secrets[i]; s.Expires.IsZero() || now.Before(s.Expires) {
			return s
		}
	}
	return nil
}
