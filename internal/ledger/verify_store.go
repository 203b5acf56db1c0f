package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"
)

// StoreReport is what VerifyStore found.
type StoreReport struct {
	Seals    int64    `json:"seals"`
	Records  int64    `json:"records"`            // that the seals name; Pruned of them are gone by Prune
	Pruned   int64    `json:"pruned"`             //
	Head     string   `json:"head"`               // see SealHead
	Problems []string `json:"problems"`           // the first 1000
	More     int64    `json:"more,omitempty"`     // problems beyond those
	Unsummed int64    `json:"unsummed,omitempty"` // hours whose sums could not be compared, since records are not as sealed
}

// OK says whether the store is as it was written.
func (r *StoreReport) OK() bool { return len(r.Problems) == 0 }

// mostProblems bounds a report.
const mostProblems = 1000

func (r *StoreReport) problem(format string, args ...any) {
	if len(r.Problems) >= mostProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// headOf puts the chains of a store into one head.
func headOf(list []chain) (link string, count int64, err error) {
	if len(list) == 1 {
		return list[0].text(), list[0].sealed, nil
	}
	all := chain{}
	for _, c := range list {
		if c.seals == 0 {
			continue
		}
		all.sealed += c.sealed
		all.head = nextLink(all.head, append([]byte(c.name+"\x00"), c.head...))
	}
	return all.text(), all.sealed, nil
}

// sealedStore is what can be verified. Each method sees one state of the store;
// between two, it may grow and be pruned.
type sealedStore interface {
	// chains are those of all gateways.
	chains(ctx context.Context) ([]chain, error)
	// nextSeal is the first seal of a gateway behind a number.
	nextSeal(ctx context.Context, gateway string, after int64) (row storedSeal, ok bool, err error)
	// digests are those of the records that are there, and the hour before which
	// records have been pruned.
	digests(ctx context.Context, ids []string) (found map[string]digest, pruned int64, err error)
	// storedPage is up to eachPage records in the order of ids.
	storedPage(ctx context.Context, after string) (ids []string, records [][]byte, err error)
	// summedHours are the hours that have sums.
	summedHours(ctx context.Context) ([]int64, error)
	// recount is the sums of an hour as they are stored and as the records say.
	recount(ctx context.Context, hour int64) (stored, counted *rollup, pruned int64, err error)
}

// storeVerifier walks a store: the seals, then the records, then the sums.
type storeVerifier struct {
	StoreReport
	store sealedStore
	seed  maphash.Seed
	known []uint64         // hashes of the sealed ids: 8 bytes for each, however many there are
	ends  map[string]int64 // how far the seals of each gateway have been read
	hours map[int64]bool   // that have records; false: not all of them are as they were sealed
}

func verifyStore(ctx context.Context, store sealedStore) (StoreReport, error) {
	v := storeVerifier{store: store, seed: maphash.MakeSeed(), ends: map[string]int64{}, hours: map[int64]bool{}}
	v.Problems = []string{}
	for _, step := range []func(context.Context) error{v.seals, v.records, v.sums} {
		if err := step(ctx); err != nil {
			return v.StoreReport, err
		}
	}
	return v.StoreReport, nil
}

func (v *storeVerifier) seals(ctx context.Context) error {
	list, err := v.store.chains(ctx)
	if err != nil {
		return err
	}
	v.Head, _, _ = headOf(list)
	for _, c := range list {
		if err := v.chain(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// chain follows the seals of a gateway up to where it said that they end.
func (v *storeVerifier) chain(ctx context.Context, c chain) error {
	of := ""
	if c.name != "" {
		of = " of gateway " + c.name
	}
	var head []byte
	last, records := int64(0), int64(0)
	for last < c.seals {
		s, ok, err := v.store.nextSeal(ctx, c.name, last)
		if err != nil {
			return err
		}
		if !ok || s.seq > c.seals {
			break
		}
		whole := s.seq == last+1
		if !whole {
			v.missingSeals(last+1, s.seq-1, of)
		}
		if whole && !bytes.Equal(s.link, nextLink(head, s.batch)) {
			v.problem("seal %d%s is changed, or does not follow the one before", s.seq, of)
		}
		if err := v.seal(ctx, s, of); err != nil {
			return err
		}
		last, head, records = s.seq, s.link, records+s.count
		v.Seals++
	}
	v.ends[c.name] = max(last, c.seals)
	switch {
	case last < c.seals:
		v.missingSeals(last+1, c.seals, of)
	case !bytes.Equal(head, c.head) && c.seals > 0:
		v.problem("the seals%s do not end where the store says that they end", of)
	}
	return nil
}

func (v *storeVerifier) missingSeals(first, last int64, of string) {
	if first == last {
		v.problem("seal %d%s is missing: what it sealed is named as added", first, of)
		return
	}
	v.problem("seals %d to %d%s are missing: what they sealed is named as added", first, last, of)
}

// seal compares the records of a batch with what was sealed.
func (v *storeVerifier) seal(ctx context.Context, s storedSeal, of string) error {
	list, err := decodeSeal(s.batch)
	if err != nil {
		v.problem("seal %d%s cannot be read: %v", s.seq, of, err)
		return nil
	}
	if int64(len(list)) != s.count {
		v.problem("seal %d%s has %d records and says %d", s.seq, of, len(list), s.count)
	}
	ids := make([]string, len(list))
	for i, r := range list {
		ids[i] = r.id
		v.known = append(v.known, maphash.String(v.seed, r.id))
	}
	found, pruned, err := v.store.digests(ctx, ids)
	if err != nil {
		return err
	}
	v.Records += int64(len(list))
	for _, r := range list {
		switch have, ok := found[r.id]; {
		case ok && have == r.digest:
		case ok:
			v.problem("exchange %s is changed", r.id)
			v.spoil(r.micros)
		case hourOf(r.micros) < pruned:
			v.Pruned++
		default:
			v.problem("exchange %s is missing", r.id)
			v.spoil(r.micros)
		}
	}
	return nil
}

// spoil notes that the records of the hour of a moment, which ids tell with some
// slack, do not tell what the sums must be.
func (v *storeVerifier) spoil(micros int64) {
	v.hours[hourOf(micros-idSlack*1000)] = false
	v.hours[hourOf(micros+idSlack*1000)] = false
}

// records looks for what no seal has.
func (v *storeVerifier) records(ctx context.Context) error {
	slices.Sort(v.known)
	strange := map[string]int64{} // ids, and when they began
	var ex Exchange
	for after := ""; ; {
		ids, records, err := v.store.storedPage(ctx, after)
		if err != nil {
			return err
		}
		for i, id := range ids {
			at, known := int64(0), decodeInto(&ex, string(records[i])) == nil
			if known {
				at = micro(ex.Start)
			} else if milli, ok := idMilli(id); ok {
				at = milli * 1000
			}
			if _, noted := v.hours[hourOf(at)]; known && !noted {
				v.hours[hourOf(at)] = true
			}
			if _, ok := slices.BinarySearch(v.known, maphash.String(v.seed, id)); !ok {
				strange[id] = at
			}
		}
		if len(ids) < eachPage {
			break
		}
		after = ids[len(ids)-1]
	}
	if err := v.newer(ctx, strange); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(strange)) {
		v.problem("exchange %s is added: no seal has it", id)
		v.spoil(strange[id])
	}
	return nil
}

// newer takes out what was sealed since the walk began.
func (v *storeVerifier) newer(ctx context.Context, strange map[string]int64) error {
	if len(strange) == 0 {
		return nil
	}
	list, err := v.store.chains(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		for last := v.ends[c.name]; ; {
			s, ok, err := v.store.nextSeal(ctx, c.name, last)
			if err != nil {
				return err
			}
			if !ok || s.seq > c.seals {
				break
			}
			last = s.seq
			fresh, _ := decodeSeal(s.batch) // a damaged one leaves its records strange
			for _, r := range fresh {
				delete(strange, r.id)
			}
		}
	}
	return nil
}

// sums compares the sums of the hours whose records are all there.
func (v *storeVerifier) sums(ctx context.Context) error {
	summed, err := v.store.summedHours(ctx)
	if err != nil {
		return err
	}
	for _, h := range summed {
		if _, ok := v.hours[h]; !ok {
			v.hours[h] = true
		}
	}
	for _, h := range slices.Sorted(maps.Keys(v.hours)) {
		if !v.hours[h] {
			v.Unsummed++
			continue
		}
		stored, counted, pruned, err := v.store.recount(ctx, h)
		at := time.Unix(h*3600, 0).UTC().Format("2006-01-02 15:04")
		switch {
		case errors.Is(err, errRecord), errors.Is(err, errNoID):
			v.Unsummed++ // it is no record of ours, and named already
		case errors.Is(err, errRollup):
			v.problem("the sums of the hour from %s UTC cannot be read: %v", at, err)
		case err != nil:
			return err
		case h < pruned || sameSums(stored, counted):
		default:
			v.problem("the sums of the hour from %s UTC are not those of its records", at)
		}
	}
	return nil
}

// sameSums compares the sums of an hour in what those who stored them knew: tags, and
// names that nobody serves, beyond the bound are summed as others, in another order than
// they are here; an older version did not sum by parties, and not what came later.
func sameSums(stored, counted *rollup) bool {
	var k knowing
	for _, r := range []*rollup{stored, counted} {
		for i := range r.cells {
			c := &r.cells[i]
			k.noTags = k.noTags || c.tags == otherTags
			k.noNames = k.noNames || c.strange() && c.model == otherTags
			k.old = k.old || c.target != "" && c.provider == ""
		}
	}
	return maps.Equal(stored.known(k), counted.known(k))
}

// knowing is what of sums is not to be compared.
type knowing struct {
	noTags  bool // some are summed as others
	noNames bool // of models that nobody serves, likewise
	old     bool // made by a version without parties
}

// known is the cells without what is not to be compared, and without those that
// are zero.
func (r *rollup) known(k knowing) map[cell]sums {
	out := map[cell]sums{}
	for i := range r.cells {
		c, s := r.cells[i], r.sums[i]
		if k.noTags || k.old {
			c.tags = ""
		}
		if k.noNames && c.strange() {
			c.model = ""
		}
		if k.old {
			c.team, c.organisation, c.provider = "", "", ""
			values := s.values()
			for _, v := range values[firstValues:] {
				*v = 0
			}
		}
		sum := out[c]
		sum.add(&s)
		out[c] = sum
	}
	maps.DeleteFunc(out, func(_ cell, s sums) bool { return s == sums{} })
	return out
}
