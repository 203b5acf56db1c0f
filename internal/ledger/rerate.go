package ledger

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Rating again changes no record. A run notes for each exchange whose cost changes
// the old and the new one, and the sums get the difference, apart from what they
// were: Usage adds it unless it is asked for what was original. A later run rates
// against what the one before it said.

// Run is an order to rate again.
type Run struct {
	ID    string    // a run is done once; what broke off goes on under the same id
	At    time.Time // when it was ordered
	Actor string    // by whom
	// From and To bound the Start of exchanges, as in Filter.
	From, To time.Time
	Version  string // of the prices
	Note     string // why
	Dry      bool   // only tell what would change
}

// RunOutcome is what a run did. Costs are nano-dollars, over all exchanges that it
// looked at, as they counted before and as they count now.
type RunOutcome struct {
	Looked   int64 `json:"looked"`
	Changed  int64 `json:"changed"`
	OldCost  int64 `json:"old_cost_nano"`
	NewCost  int64 `json:"new_cost_nano"`
	Unpriced int64 `json:"unpriced"` // their cost is not known even now
}

// Rate is the cost of one attempt.
type Rate struct {
	Cost   int64 // nano-dollars
	Status Pricing
}

// Rating is what a run changed of an exchange.
type Rating struct {
	Exchange   string  `json:"exchange"`
	Run        string  `json:"run"`
	OldCost    int64   `json:"old_cost_nano"`
	OldStatus  Pricing `json:"old_pricing"`
	OldVersion string  `json:"old_version"`
	NewCost    int64   `json:"new_cost_nano"`
	NewStatus  Pricing `json:"new_pricing"`
	NewVersion string  `json:"new_version"`

	start    int64 // Unix microseconds
	attempts []byte
}

// ErrRun is wrapped by refusals of a run.
var ErrRun = errors.New("the run is refused")

// rateChunk is how many exchanges are rated in one transaction.
const rateChunk = 1000

// Rerate refuses: what is in memory ends with the process, and its sums are those
// of the records.
func (m *Memory) Rerate(context.Context, Run, func(*Exchange) []Rate) (RunOutcome, error) {
	return RunOutcome{}, fmt.Errorf("%w: the ledger is in memory, and nothing of it is invoiced; run with a state directory", ErrRun)
}

// check refuses what cannot be a run.
func (r *Run) check() error {
	if !r.Dry && (r.ID == "" || r.Actor == "" || r.Version == "") {
		return fmt.Errorf("%w: it needs an id, an actor and a version of the prices", ErrRun)
	}
	return nil
}

func (r *Run) period() period { return Filter{From: r.From, To: r.To}.period() }

// storedRun is what a store knows of a run that was there before.
type storedRun struct {
	since, until     int64
	version, outcome string
}

// again says whether a run was through already, and refuses another one of its id.
func (r *Run) again(s storedRun) (out RunOutcome, through bool, err error) {
	if p := r.period(); s.since != p.from || s.until != p.to || s.version != r.Version {
		return out, false, fmt.Errorf("%w: a run %s is there already, of another period or with other prices; give it another id", ErrRun, r.ID)
	}
	if s.outcome == "" {
		return out, false, nil
	}
	return out, true, json.Unmarshal([]byte(s.outcome), &out)
}

// rater rates the exchanges of a run, chunk by chunk.
type rater struct {
	run   Run
	price func(*Exchange) []Rate
	out   RunOutcome
}

// ratings of a chunk's exchanges, in the order in which they were made.
type ratings map[string][]Rating

// chunk rates exchanges, and returns what is to be stored: ratings, and what they
// add to the sums.
func (r *rater) chunk(list []*Exchange, have ratings) (add []Rating, delta *rollup, err error) {
	delta = &rollup{}
	for _, ex := range list {
		was := have[ex.ID]
		if i := slices.IndexFunc(was, func(o Rating) bool { return o.Run == r.run.ID }); i >= 0 && !r.run.Dry {
			r.count(&was[i], true) // before the run broke off
			continue
		}
		version := ex.PriceVersion
		if n := len(was); n > 0 {
			if err := was[n-1].apply(ex); err != nil {
				return nil, nil, err
			}
			version = was[n-1].NewVersion
		}
		rated, changed, err := r.rate(ex)
		if err != nil {
			return nil, nil, err
		}
		one := Rating{
			Exchange: ex.ID, Run: r.run.ID, OldCost: ex.Cost, OldStatus: ex.PriceStatus, OldVersion: version,
			NewCost: rated.Cost, NewStatus: rated.PriceStatus, NewVersion: r.run.Version, start: micro(ex.Start), attempts: encodeRates(rated),
		}
		r.count(&one, changed)
		if changed {
			add = append(add, one)
			delta.change(ex, rated)
		}
	}
	return add, delta, nil
}

func (r *rater) count(one *Rating, changed bool) {
	r.out.Looked++
	r.out.Changed += count(changed)
	r.out.OldCost += one.OldCost
	r.out.NewCost += one.NewCost
	r.out.Unpriced += count(one.NewStatus == Unpriced)
}

// rate is the exchange at the run's prices. An attempt whose price these do not
// know keeps what it has: what is unknown takes no known cost away.
func (r *rater) rate(ex *Exchange) (rated *Exchange, changed bool, err error) {
	rated = copyOf(ex)
	rates := r.price(ex)
	if len(rates) != len(ex.Attempts) {
		return nil, false, fmt.Errorf("exchange %s has %d attempts and was given %d rates", ex.ID, len(ex.Attempts), len(rates))
	}
	if len(rates) == 0 {
		return rated, false, nil
	}
	for i := range rated.Attempts {
		a := &rated.Attempts[i]
		if rates[i].Status == Unpriced || a.Priced == "" && rates[i] == (Rate{0, NoCharge}) {
			continue
		}
		changed = changed || a.Cost != rates[i].Cost || a.Priced != rates[i].Status
		a.Cost, a.Priced = rates[i].Cost, rates[i].Status
	}
	if changed {
		rated.sum()
	}
	return rated, changed, nil
}

// sum makes the exchange's cost and status those of its attempts.
func (ex *Exchange) sum() {
	ex.Cost, ex.PriceStatus = 0, NoCharge
	for i := range ex.Attempts {
		a := &ex.Attempts[i]
		ex.Cost += a.Cost
		if a.Priced == Unpriced || a.Priced == Priced && ex.PriceStatus == NoCharge {
			ex.PriceStatus = a.Priced
		}
	}
}

// change counts the difference between two ratings of an exchange.
func (r *rollup) change(before, after *Exchange) {
	var was, is rollup
	was.add(before)
	is.add(after)
	for i := range was.sums {
		for _, v := range was.sums[i].values() {
			*v = -*v
		}
		r.merge(&was.cells[i], &was.sums[i])
	}
	for i := range is.cells {
		r.merge(&is.cells[i], &is.sums[i])
	}
}

// ofHour is the cells of an hour that are not zero.
func (r *rollup) ofHour(hour int64) *rollup {
	out := &rollup{}
	for i := range r.cells {
		if r.cells[i].hour == hour && r.sums[i] != (sums{}) {
			out.merge(&r.cells[i], &r.sums[i])
		}
	}
	return out
}

// The statuses as bytes.
var pricings = [...]Pricing{"", NoCharge, Priced, Unpriced}

// encodeRates is, for each attempt, a varint of its cost and a byte for its status:
// its place in pricings.
func encodeRates(ex *Exchange) []byte {
	var b []byte
	for i := range ex.Attempts {
		b = binary.AppendVarint(b, ex.Attempts[i].Cost)
		b = append(b, byte(max(0, slices.Index(pricings[:], ex.Attempts[i].Priced))))
	}
	return b
}

// apply puts a rating in the place of what an exchange cost before.
func (o *Rating) apply(ex *Exchange) error {
	d := decoder{data: o.attempts}
	for i := range ex.Attempts {
		a := &ex.Attempts[i]
		a.Cost = d.varint()
		status := d.uvarint()
		if d.bad || status >= uint64(len(pricings)) {
			return fmt.Errorf("the rating of exchange %s by run %s is damaged", o.Exchange, o.Run)
		}
		a.Priced = pricings[status]
	}
	ex.Cost, ex.PriceStatus = o.NewCost, o.NewStatus
	return nil
}
