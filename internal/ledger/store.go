package ledger

import (
	"context"
	"errors"
	"time"
)

// Position is a place in a journal: everything before it has been taken. The
// zero Position is the beginning.
type Position struct {
	Segment uint64
	Offset  int64
}

// Before says whether p lies before q.
func (p Position) Before(q Position) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Offset < q.Offset
}

// Store takes settled exchanges from a journal. [SQLite] and [Memory] are
// stores; package storetest holds what every store must do. A store serves one
// journal.
type Store interface {
	// Append stores the batch and moves the position to pos, both or neither.
	// It does nothing and returns nil when the store's position is already at
	// or past pos, so that a batch whose answer was lost can be sent again. An
	// exchange whose id is already stored is left as it is. The store may keep
	// the exchanges of the batch; nobody changes them.
	Append(ctx context.Context, pos Position, batch []*Exchange) error
	// Position returns the position of the last Append that took effect.
	Position(ctx context.Context) (Position, error)
	// Close releases what the store holds; it keeps what was stored.
	Close() error
}

// Reader answers questions about stored exchanges. What a journal has settled
// and not yet drained is not seen: call [Journal.Flush] first where it matters.
// All methods are safe for concurrent use.
type Reader interface {
	// Get returns the exchange with the id, or with the only id that begins
	// with it. Errors: ErrNotFound, ErrAmbiguous.
	Get(ctx context.Context, id string) (*Exchange, error)
	// Recent returns up to limit exchanges that pass the filter, newest first
	// by Start, then by ID. It looks at the newest 200,000 exchanges between
	// From and To: to look further back, give an earlier To.
	Recent(ctx context.Context, limit int, f Filter) ([]*Exchange, error)
	// Usage sums up; see UsageQuery.
	Usage(ctx context.Context, q UsageQuery) ([]UsageRow, error)
	// Each calls do for every exchange that passes the filter, oldest id first,
	// until it returns an error, which Each returns. The exchange is valid during
	// the call. What comes meanwhile may be seen or not.
	Each(ctx context.Context, f Filter, do func(*Exchange) error) error
}

// The errors of Get.
var (
	ErrNotFound  = errors.New("no exchange has this id")
	ErrAmbiguous = errors.New("several exchanges have an id that begins so: give more of it")
)

// Filter narrows a query; an empty member lets everything pass.
type Filter struct {
	From, To time.Time // Start in [From, To), to the microsecond; zero is open
	Model    string    // as requested
	Target   string    // at least one attempt went there; in Usage by target, the attempts that did
	Key      string    // id or name of the client key
	Customer string
	Outcome  Outcome
	Fault    string // kind of the outcome's fault

	Team, Organisation string
	Provider           string // the kind of a target; in Usage, rows count attempts then
	Tag                string // one of the exchange's tags
}

// The columns by which usage can be grouped.
const (
	ByModel    = "model"    // as requested
	ByTarget   = "target"   // see UsageQuery
	ByKey      = "key"      // the key's name, or its id where it has none
	ByCustomer = "customer" //
	ByDay      = "day"      // of Start, in UTC, as 2006-01-02
	ByOutcome  = "outcome"

	ByKeyID        = "key_id"
	ByTeam         = "team"
	ByOrganisation = "organisation"
	ByProvider     = "provider" // the kind of the target; counts attempts, as ByTarget does
	// ByTag counts an exchange under each of its tags, so that rows may add up to
	// more than there is; without tags it is under the empty one.
	ByTag = "tag"
)

// byColumns are all of them.
var byColumns = []string{ByModel, ByTarget, ByProvider, ByKey, ByKeyID, ByCustomer, ByTeam, ByOrganisation, ByTag, ByDay, ByOutcome}

// UsageQuery asks for sums over exchanges. Without ByTarget a row counts
// exchanges. With ByTarget a row counts attempts: Requests, Failed, tokens and
// cost are those of the attempts at that target; an exchange without any
// attempt counts under the empty target. Tokens and cost add up to the same in
// both, because an exchange's are the sum over its attempts.
//
// Sums last longer than records: SQLite.Prune says what follows for From and To.
type UsageQuery struct {
	By     []string // any of the By constants, without repetition; empty gives one row
	Filter Filter
	// Original leaves out what was rated again: the sums are those of the records.
	Original bool
}

// UsageRow is one line of a usage report. Only the members named in By are set.
// Rows come ordered by those members.
type UsageRow struct {
	Model    string  `json:"model,omitempty"`
	Target   string  `json:"target,omitempty"`
	Key      string  `json:"key,omitempty"`
	Customer string  `json:"customer,omitempty"`
	Day      string  `json:"day,omitempty"`
	Outcome  Outcome `json:"outcome,omitempty"`

	KeyID        string `json:"key_id,omitempty"`
	Team         string `json:"team,omitempty"`
	Organisation string `json:"organisation,omitempty"`
	Provider     string `json:"provider,omitempty"`
	Tag          string `json:"tag,omitempty"`

	Requests   int64 `json:"requests"`
	Failed     int64 `json:"failed"`   // outcome failed, broken or unknown; by target: attempts with a fault
	Unpriced   int64 `json:"unpriced"` // of the requests: their cost is not known, so Cost is a lower bound
	Input      int64 `json:"input"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	Output     int64 `json:"output"`
	Reasoning  int64 `json:"reasoning"`

	Images      int64 `json:"images,omitempty"`
	AudioMillis int64 `json:"audio_millis,omitempty"`
	Characters  int64 `json:"characters,omitempty"`
	SearchUnits int64 `json:"search_units,omitempty"`

	CapacityNanos int64 `json:"capacity_ns,omitempty"` // of targets that cost by the hour

	Cost int64 `json:"cost_nano"` // nano-dollars

	Unknown int64 `json:"unknown,omitempty"`   // of the requests: nobody knows how they ended
	Held    int64 `json:"held_nano,omitempty"` // what was held for those
}

// failed says whether an outcome counts as a failure.
func failed(o Outcome) bool {
	return o == OutcomeFailed || o == OutcomeBroken || o == OutcomeUnknown
}
