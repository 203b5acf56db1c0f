package oidc

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// algorithms are the signatures that are believed. Each goes with one kind of
// key: a token cannot choose how its issuer's key is used.
var algorithms = []string{string(jose.RS256), string(jose.ES256), string(jose.EdDSA)}

// algorithmOf is the one algorithm of a key; empty for a key that is not used.
func algorithmOf(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 {
			return string(jose.RS256)
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return string(jose.ES256)
		}
	case ed25519.PublicKey:
		return string(jose.EdDSA)
	}
	return ""
}

// key is one that signatures are checked with.
type key struct {
	id, algorithm string
	public        any
}

// keySet is what an issuer's keys are. It is immutable.
type keySet struct {
	text []byte // as it was read
	keys []key
}

// parseSet reads a JWKS. Keys of kinds that are not used are left out; secret
// ones are among them.
func parseSet(text []byte) (*keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, errors.New("this is no JWKS")
	}
	set := &keySet{text: text}
	for _, raw := range doc.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) != nil || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
			continue
		}
		algorithm := algorithmOf(k.Key)
		if algorithm == "" || k.Algorithm != "" && k.Algorithm != algorithm {
			continue
		}
		set.keys = append(set.keys, key{k.KeyID, algorithm, k.Key})
	}
	if len(set.keys) == 0 {
		return nil, errors.New("it holds no public key of RSA (2048 bits), P-256 or Ed25519")
	}
	return set, nil
}

func (s *keySet) has(kid string) bool {
	for _, k := range s.keys {
		if k.id == kid {
			return true
		}
	}
	return kid == ""
}

// fitting are the keys that a token's signature may be of: those with its id and
// of its algorithm. A token without an id is good where there is no choice.
func (s *keySet) fitting(h head) ([]key, error) {
	var out []key
	for _, k := range s.keys {
		if k.algorithm == h.Alg && (k.id == h.Kid || h.Kid == "") {
			out = append(out, k)
		}
	}
	switch {
	case len(out) == 0 && h.Kid != "" && s.has(h.Kid):
		return nil, refuse(Algorithm, "the token's key is not one for %s", h.Alg)
	case len(out) == 0:
		return nil, refuse(UnknownKey, "the token is signed by a key that its issuer does not have")
	case h.Kid == "" && len(out) > 1:
		return nil, refuse(UnknownKey, "the token does not say which of its issuer's keys signed it")
	}
	return out, nil
}

// candidateKey is the place of the keys to try in a context.
type candidateKey struct{}

// signatures checks a signature with the keys that the context brings. It is the
// library's KeySet.
type signatures struct{}

// VerifySignature returns the payload of a token whose signature fits.
func (signatures) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	candidates, _ := ctx.Value(candidateKey{}).([]key) // none verifies nothing
	for _, k := range candidates {
		jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.algorithm)})
		if err != nil {
			continue
		}
		if payload, err := jws.Verify(k.public); err == nil {
			return payload, nil
		}
	}
	return nil, errSignature
}

// keyring holds an issuer's keys and loads them again: when they are old, and
// when a token names one that is not there. One caller loads while those who
// find their key among the old ones go on.
type keyring struct {
	load  func(context.Context) ([]byte, error)
	fresh time.Duration // for how long they are not loaded again without a reason
	again time.Duration // the least time between two loads
	stale time.Duration // after which keys that cannot be loaded again are not used; zero is never

	mu     sync.Mutex
	held   *keySet
	loaded time.Time // held is as it was then
	tried  time.Time
	failed error // of the last load
	busy   chan struct{}
}

// The times of a key ring.
const (
	loadTime    = 10 * time.Second
	fileEvery   = time.Second
	remoteFresh = time.Hour
	remoteAgain = 30 * time.Second
	remoteStale = 24 * time.Hour
	mostKeys    = 1 << 20 // bytes of a JWKS
)

func fileKeys(path string) *keyring {
	return &keyring{fresh: fileEvery, again: fileEvery, load: func(context.Context) ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return bounded(f)
	}}
}

func remoteKeys(d *discovery) *keyring {
	return &keyring{fresh: remoteFresh, again: remoteAgain, stale: remoteStale, load: func(ctx context.Context) ([]byte, error) {
		at, err := d.endpoints(ctx)
		if err != nil {
			return nil, err
		}
		return fetch(ctx, d.client, at.Keys)
	}}
}

func bounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, mostKeys+1))
	if err == nil && len(text) > mostKeys {
		err = fmt.Errorf("it is larger than %d bytes", mostKeys)
	}
	return text, err
}

func fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered with %s", address, resp.Status)
	}
	return bounded(resp.Body)
}

// set is the keys in force at now, loaded again where that has a reason and was
// not tried just now.
func (r *keyring) set(ctx context.Context, kid string, now time.Time) (*keySet, error) {
	r.mu.Lock()
	for {
		usable := r.held != nil && (r.stale == 0 || now.Sub(r.loaded) < r.stale)
		wanted := !usable || now.Sub(r.loaded) >= r.fresh || !r.held.has(kid)
		tried := !r.tried.IsZero() && now.Sub(r.tried) < r.again
		switch {
		case usable && (!wanted || tried || r.busy != nil && r.held.has(kid)):
			defer r.mu.Unlock()
			return r.held, nil
		case r.busy == nil && tried:
			defer r.mu.Unlock()
			return nil, refuse(Unavailable, "the issuer's keys cannot be had: %v", r.failed)
		case r.busy == nil:
			r.reload(ctx, now)
			continue
		}
		wait := r.busy
		r.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, refuse(Unavailable, "the issuer's keys did not come in time")
		}
		r.mu.Lock()
	}
}

// reload loads the keys. The caller holds the lock, which is free meanwhile. A
// caller that leaves does not end it: the others wait for the same.
func (r *keyring) reload(ctx context.Context, now time.Time) {
	done := make(chan struct{})
	r.busy = done
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTime)
	defer cancel()
	text, err := r.load(ctx)
	r.mu.Lock()
	r.tried, r.failed, r.busy = now, err, nil
	close(done)
	if err != nil {
		return
	}
	if r.held != nil && bytes.Equal(r.held.text, text) {
		r.loaded = now
		return
	}
	set, err := parseSet(text)
	if err != nil {
		r.failed = err
		return
	}
	r.held, r.loaded = set, now
}
