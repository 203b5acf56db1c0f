// Package facts keeps what the API and the command line change while the program
// runs: parties, keys and roles, with a record of every change.
//
// It owns documents by kind and name, their revisions, and the audit trail, in
// memory, in a file of the state directory ([SQLite]) or in the database that
// several gateways share ([Postgres]). It never gives a document a meaning, never
// lies on the way of a request, and never lets a hash into the trail. The text of
// a key must never come here.
//
// A change's revision is the number of its audit record: what was changed behind
// the trail's back, or cut from its end, shows in [VerifyAudit].
//
// Start reading at [Store]; plan.go decides what a change does, whatever it is
// kept in.
package facts

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// The kinds of documents that there are.
const (
	KindOrganisation = "organisation"
	KindTeam         = "team"
	KindCustomer     = "customer"
	KindKey          = "key"
	KindRole         = "role"
	KindInstall      = "install" // what gateways that share a store must agree on
)

// Fact is a document as it stands.
type Fact struct {
	Kind     string
	Name     string
	Body     json.RawMessage // nil of a removed one
	Revision int64           // of its last change, 1 and up
	Removed  bool
}

// Change is what somebody wants a document to be.
type Change struct {
	Kind string
	Name string
	Body json.RawMessage // nil removes
	// Seen is the revision that the change was made upon; 0 says that there is
	// no such document.
	Seen int64
}

// Audit is the record of one change. What was secret in the documents is masked
// in it.
type Audit struct {
	Seq    int64           `json:"seq"` // 1 and up, without a gap
	At     time.Time       `json:"at"`  // UTC, whole microseconds
	Actor  string          `json:"actor"`
	Kind   string          `json:"kind"`
	Name   string          `json:"name"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	// Link is a hash, in hex, over this record and the Link before it.
	Link string `json:"link"`
}

// AuditQuery selects audit records; the zero one selects the newest.
type AuditQuery struct {
	Kind, Name, Actor string    // empty: any
	From, To          time.Time // zero: no bound; To is excluded
	Below             int64     // only records before this number; 0: no bound
	Limit             int       // at most; 0 means 100, the most is 10,000
}

// Store keeps documents. It is safe for concurrent use. Slices and bodies that
// it returns are the caller's own.
type Store interface {
	// All returns every document that is not removed, and the newest revision.
	All(ctx context.Context) ([]Fact, int64, error)
	// Since returns what changed after a revision, removed documents included,
	// in the order of the changes, and the newest revision.
	Since(ctx context.Context, revision int64) ([]Fact, int64, error)
	// Apply makes all changes or none, and returns the newest revision. A change
	// whose document has another revision than it saw is an [ErrConflict].
	Apply(ctx context.Context, actor string, at time.Time, changes []Change) (int64, error)
	// Audit returns records of changes, the newest first.
	Audit(ctx context.Context, q AuditQuery) ([]Audit, error)
	Close() error
}

var (
	// ErrConflict is wrapped by the refusal of a change that was made upon what
	// is no longer so. Read the document again and repeat the change.
	ErrConflict = errors.New("it was changed by somebody else meanwhile")
	// ErrInvalid is wrapped by the refusal of a change that no store takes.
	ErrInvalid = errors.New("the change is not valid")
)
