package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/owner"
	"tailplane/internal/policy"
	"tailplane/internal/telemetry"
	"tailplane/internal/wire"
)

// whySettlement is why a batch's record has an attempt: its requests were
// answered long before.
const whySettlement = "settlement"

// settleBatch writes what a batch has used into the ledger, as an exchange of its
// own under the key that made the batch, as soon as an answer tells it. That
// happens once for each batch, whoever asks how often: the index of owners
// remembers it, and should the process die before it does, the exchange's id
// follows from the batch's, so that the store takes it once.
func (c *call) settleBatch(target *candidate, body []byte) {
	var found [4]wire.Member
	if _, err := wire.Scan(body, []string{"id", "status", "usage", "model"}, found[:]); err != nil {
		return
	}
	id, _ := wire.String(found[0].Value.Of(body))
	status, _ := wire.String(found[1].Value.Of(body))
	if id == "" || found[2].IsZero() || wire.IsNull(found[2].Value.Of(body)) {
		return
	}
	switch status {
	case "completed", "expired", "cancelled", "failed":
	default:
		return // it goes on, and its figures grow
	}
	usage, ok := mediaUsage(body, found[2].Value)
	if !ok {
		return
	}
	usage.Source, usage.Tier = llm.UsageReported, "batch"
	model, _ := wire.String(found[3].Value.Of(body))
	err := c.gateway.owners.Settle(id, func(o owner.Object) error {
		return c.recordBatch(target, o, batchRecord{id: id, model: model, usage: usage})
	})
	if err != nil {
		c.gateway.metrics.LedgerErrors.Inc()
		c.gateway.log.Error("the ledger did not take a batch; the next look at it tries again", "error", err, "request", c.ex.ID,
			"input", usage.Input, "output", usage.Output)
	}
}

// batchRecord is what is known about a batch that has ended.
type batchRecord struct {
	id    string
	model string // as the provider names it; empty when it does not say
	usage llm.Usage
}

// recordBatch admits and settles the exchange of a batch.
func (c *call) recordBatch(target *candidate, o owner.Object, b batchRecord) error {
	at := now()
	cost := c.plane.Book.RateAt(target.Name, target.Kind.Name, b.model).Cost(at, b.usage)
	ex := ledger.Exchange{
		ID: batchID(target.Name, b.id), Start: at, Config: c.plane.Hash, TraceID: cut(b.id, 128),
		Key: o.Key, Name: o.Name, Customer: o.Customer,
		Op: llm.OpBatch, Dialect: c.surface.dialect.Name(), Model: b.model, Reason: whySettlement,
		Attempts: []ledger.Attempt{{
			Target: target.Name, Kind: target.Kind.Name, Model: b.model, Dialect: c.surface.dialect.Name(), Lane: laneForward,
			Why: whySettlement, Status: 200, Usage: b.usage, Cost: cost.Nano, Priced: cost.Status,
		}},
		Outcome: ledger.OutcomeOK, Status: 200,
		Usage: b.usage, Cost: cost.Nano, PriceStatus: cost.Status, PriceVersion: c.plane.Book.Version(),
	}
	key, party := c.ownerOf(o)
	if party != nil {
		ex.Organisation, ex.Team, ex.Customer = party.Names()
	}
	if err := c.gateway.journal.Admit(&ex); err != nil {
		return err
	}
	if err := c.gateway.journal.Settle(&ex); err != nil {
		return err
	}
	if key != nil {
		c.charge(key, party, at, cost.Nano)
	}
	u := b.usage
	c.plane.Metrics.Model(telemetry.Other).Spent(u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, cost.Nano)
	return nil
}

// ownerOf is the key that made an object, and the party that it was made for, as
// far as they are still there.
func (c *call) ownerOf(o owner.Object) (*policy.Key, *policy.Party) {
	key := c.plane.Keys.Named(o.Key)
	if p := c.plane.Keys.Customer(o.Customer); p != nil {
		return key, p
	}
	if key == nil {
		return nil, nil
	}
	return key, key.Party()
}

// charge counts what was spent on somebody's behalf without having been held. Where
// a budget is used up already nothing is counted: the ledger has it.
func (c *call) charge(key *policy.Key, party *policy.Party, at time.Time, nano int64) {
	var h account.Hold
	if c.plane.Accounts.Reserve(c.ctx, &h, key.AppendChain(nil, party), account.Want{Start: at}) == nil {
		h.Settle(now(), account.Used{Nano: nano})
	}
}

// batchID is the id of a batch's exchange. It looks like every other and is the
// same each time.
func batchID(target, id string) string {
	sum := sha256.Sum256([]byte("batch\x00" + target + "\x00" + id))
	return requestID(binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:]))
}
