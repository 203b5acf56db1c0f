// Package admin answers its operators: what happened, what was spent, what
// there is, and who may call.
//
// It owns the service as each of its viewers sees it ([Service.As], [View]), who
// comes and as what ([Door]), and a thin REST table on a listener of its own. It
// never lies on the way of a request, and nothing on that way imports it. It never
// keeps a secret of anybody: only hashes.
//
// Start reading at [View]; routes.go has the table, viewer.go the roles.
package admin

import (
	"context"
	"errors"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/egress"
	"tailplane/internal/facts"
	"tailplane/internal/ledger"
	"tailplane/internal/meter"
	"tailplane/internal/policy"
)

// Service is what operators can ask and order. Its fields are set once, by the
// package that builds the program; its methods are safe for concurrent use.
type Service struct {
	Reader  ledger.Reader
	Journal *ledger.Journal
	Keys    *policy.Store
	// Models tells which names a key may call and where they lead now; an
	// empty key means every name. ok is false when there is no such key.
	Models func(key string) (list []Model, ok bool)
	// Explain tells what would become of a request now. ok is false when there is no
	// such key.
	Explain func(ctx context.Context, order Explain) (told any, ok bool)
	// Pair is the AWS key pair of the key with a name or an id.
	Pair func(key string, now time.Time) (policy.Pair, *policy.Key, error)
	// Status and Reload are the program's.
	Status func() Status
	Reload func() error
	// Targets tells how targets stand; Drain keeps new requests off one, or ends
	// that, and reports whether there is one of that name.
	Targets func() []Target
	Drain   func(target string, drained bool) bool
	// Ready reports whether requests are to be sent here; nil is always.
	Ready func() bool
	// Egress tells what was contacted since the start.
	Egress func() egress.Report
	// Accounts are the live limits and budgets.
	Accounts *account.Accounts
	// Hourly are the targets that cost by the hour, in nano-dollars.
	Hourly func() map[string]int64
	// Statements makes usage statements; nil where there is no state directory.
	Statements Statements
	// Door says who comes.
	Door *Door
	// Address is the listener as other machines reach it; empty when nothing
	// says so. nil is always empty.
	Address func() string
	// Rerate rates exchanges again, with a rate for each attempt.
	Rerate func(ctx context.Context, run ledger.Run, price func(*ledger.Exchange) []ledger.Rate) (ledger.RunOutcome, error)
	// Book is the prices in force.
	Book func() *meter.Book
	// JournalDir is where the journal is; empty when it is in memory.
	JournalDir string
	// Facts has the audit; nil keeps none.
	Facts facts.Store
	// Lookup is the key that a text opens, or nil; nil finds none.
	Lookup func(text string, now time.Time) *policy.Key
	// Forgive gives back what is in doubt of a gateway; nil where it is alone.
	Forgive func(ctx context.Context, gateway string) (nano int64, err error)
}

// Model is one name that can be called and where it would go.
type Model struct {
	Name       string      `json:"name"`
	Why        string      `json:"why"`
	Candidates []Candidate `json:"candidates"`
}

// Candidate is one place where a model's requests may go.
type Candidate struct {
	Target   string   `json:"target"`
	Kind     string   `json:"kind"`
	Model    string   `json:"model"`
	Address  string   `json:"address"`
	Dialects []string `json:"dialects"`
	Group    int      `json:"group"`
	Weight   int      `json:"weight,omitempty"`
	Local    bool     `json:"local"`
	State    string   `json:"state"`             // ready, or why it is not
	Pricing  string   `json:"pricing,omitempty"` // priced, unpriced, free
	// Headroom is what is left of its limits, 0 to 1, which is 1 when nothing is
	// known; Utilisation how much of its configured capacity is in use, 1 = all.
	Headroom    float64 `json:"headroom"`
	Utilisation float64 `json:"utilisation,omitempty"`
	Warning     string  `json:"warning,omitempty"` // that the provider ends the model, and when
}

// Status is the program at a glance.
type Status struct {
	Version string        `json:"version"`
	Started time.Time     `json:"started"`
	Config  string        `json:"config"`      // path, or "zero-config"
	Hash    string        `json:"config_hash"` // of its content
	Data    string        `json:"data"`
	Admin   string        `json:"admin"`
	Prices  string        `json:"prices"` // version of the price book
	Ledger  Ledger        `json:"ledger"`
	Uptime  time.Duration `json:"uptime_ns"`
	// Refused is why the last changed config was not taken; empty when it was.
	Refused string `json:"config_refused,omitempty"`
	// Catalog is the version of the catalogue in force; CatalogRefused why
	// another one is not, CatalogOld that it is older than the config wants.
	Catalog        string `json:"catalog"`
	CatalogRefused string `json:"catalog_refused,omitempty"`
	CatalogOld     string `json:"catalog_old,omitempty"`
}

// Ledger is what the ledger did since the start.
type Ledger struct {
	Admitted uint64 `json:"admitted"`
	Settled  uint64 `json:"settled"`         // those recovered from a killed run included
	Unknown  int    `json:"unknown"`         // requests of a killed run, whose end nobody knows
	Lost     uint64 `json:"lost"`            // records that could not be written
	Lag      uint64 `json:"lag"`             // settled, and not in the store yet
	Bytes    int64  `json:"bytes"`           // of the journal
	Error    string `json:"error,omitempty"` // of the last write; empty when it went well
}

// LedgerOf reads the state of a journal.
func LedgerOf(j *ledger.Journal) Ledger {
	s := j.Stats()
	l := Ledger{Admitted: s.Admitted, Settled: s.Settled, Unknown: len(j.Recovered().Unknown), Lost: s.Lost, Lag: s.Lag, Bytes: s.Bytes}
	if s.Err != nil {
		l.Error = s.Err.Error()
	}
	return l
}

// ErrBadOrder is wrapped by refusals of an order that is itself wrong.
var ErrBadOrder = errors.New("the order is not valid")
