package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/dialect"
	"tailplane/internal/fleet"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/models"
	"tailplane/internal/owner"
	"tailplane/internal/policy"
	"tailplane/internal/queue"
	"tailplane/internal/route"
	"tailplane/internal/upstream"
	"tailplane/internal/wire"
)

// call is a request on its way, with all the memory that the way needs, so that
// one that is spliced allocates next to nothing. Calls are pooled: nothing of
// one may be kept after close.
type call struct {
	gateway *Gateway
	plane   *Plane
	surface surface
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	key     *policy.Key
	proof   *proof        // of a signed request, until it is checked
	proven  policy.Claim  // whom a token or a certificate says that it is for
	party   *policy.Party // for whom it is
	ex      ledger.Exchange
	says    *heading // what its head says: heading, or one that an earlier request of the connection read
	heading heading
	betas   string // of Anthropic, which a body on Bedrock has and no head

	place    place        // what the path names
	body     []byte       // the client's bytes
	at       dialect.At   // where its members stand
	seen     llm.Glance   // what they say
	decoded  *llm.Call    // once, when a candidate needs a translation
	adapted  llm.Call     // the same as the target of the attempt takes it
	dest     *destination // where the name leads
	rule     *rule        // under which it does; nil without one
	judged   judged       // which of a weak and a strong model is to answer, and why
	to       models.Timeouts
	deadline time.Time // the request's own

	chain  []*account.Account // of everybody whom the request is counted for
	held   account.Hold       // what was taken from them
	heldAt account.Hold       // what the current attempt took from its target's limits
	wanted account.Want       // what that was
	drawn  int                // attempts that something was taken for again

	views     []route.View
	live      []fleet.View // of the candidates, as views are
	able      []fleet.View
	order     []int
	asked     route.Query
	input     int // tokens that the prompt is expected to have
	facts     []route.Facts
	saw       []seen          // of the candidates, as views are, where a policy has ranked
	choice    []ledger.Choice // backs ex.Choice
	ranked    []int           // the candidates that facts are of
	decision  route.Decision
	ticket    route.Ticket // of the current attempt
	race      *race        // that the attempt is in; nil for one that is alone
	turn      queue.Ticket // the request's place at replicas that others wait for
	cost      float64      // seconds that it was expected to take when it got that
	saturated *route.Group // has no room for the request; those behind it are asked
	leg       prefillLeg   // of the current attempt, at the prefill side of its target

	out     []byte // the edited body of the current attempt
	front   []byte // what the client's body has before it and behind it, where that is sent as it stands
	back    []byte
	req     h1.Request
	forward []h1.Field
	events  wire.EventReader
	chunks  dialect.InvokeReader // the events inside of Bedrock's frames
	use     string               // the name of the credential that the current attempt uses
	aside   upstream.Told        // what the head of the current answer tells beside it
	tap     dialect.Tap
	stream  stream
	reply   []byte     // a whole answer
	replyAt dialect.At // where one is decoded
	said    []byte     // the same in the client's dialect, where that is another
	values  []string   // of the answer's headers
	refusal h1.Header  // of the last attempt, when its upstream refused it

	// Of the forward lane alone:
	invoked  dialect.InvokeEmbedding // the family whose vectors a client of Bedrock asks for
	named    named                   // where the body names the model
	object   owner.Object            // what the request is about, when a target keeps it
	answered h1.Header               // of the last attempt, when its upstream answered

	dry       bool // what is found is told, and nothing is done
	described bool // c.asked is of this request
	stood     bool // c.views are of this moment
	admitted  bool // the journal has an open record
	chosen    bool // it is counted as in flight
	committed bool // the answer's head is on its way to the client
	abort     bool // the connection must not end as if the answer were complete
	unwound   bool // by a panic, which may have left anything behind: its memory is not used again
	lossless  bool
	attempt   [2]ledger.Attempt // backs ex.Attempts
}

func newCall(g *Gateway) *call {
	return &call{gateway: g, at: dialect.At{Words: g.words}, chain: make([]*account.Account, 0, 8), views: make([]route.View, 0, 4), order: make([]int, 0, 4)}
}

// kept is the largest buffer that a pooled call holds on to.
const kept = 256 << 10

// open begins a call.
func (c *call) open(p *Plane, s surface, w http.ResponseWriter, r *http.Request) {
	c.plane, c.surface, c.w, c.r, c.ctx = p, s, w, r, r.Context()
	start := now()
	c.ex = ledger.Exchange{
		ID: newID(start), Start: start, Config: p.Hash, Op: s.op, Dialect: s.dialect.Name(),
	}
	c.ex.Attempts, c.ex.Choice = c.attempt[:0], c.choice[:0]
	c.hear()
	c.ex.TraceID, c.ex.Client, c.lossless = c.says.trace, c.says.client, c.says.lossless
}

// now is the time, counted from the call's start: that asks the system for one clock
// and not for two.
func (c *call) now() time.Time { return c.ex.Start.Add(time.Since(c.ex.Start)) }

// field is http.Header.Get for a name that is canonical, which it does not check.
func field(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// survive ends a call on whose way a panic happened.
func (c *call) survive() {
	if bug := recover(); bug != nil {
		c.unwound = true
		c.end(c.bug(bug))
	}
}

// close settles the call, whatever happened on its way, and gives its memory
// back. An answer that could be taken for complete though it is not ends with
// the connection.
func (c *call) close() {
	c.leave()
	c.endFrames()
	c.settle()
	abort := c.abort
	if !c.unwound {
		c.reset()
		c.gateway.calls.Put(c)
	}
	if abort {
		panic(http.ErrAbortHandler)
	}
}

// reset lets go of everything that belongs to one request and keeps the
// memory. It works field by field: a call is too large to be made anew on the
// stack of every request.
func (c *call) reset() {
	c.plane, c.surface, c.w, c.r, c.ctx, c.key, c.proof = nil, surface{}, nil, nil, nil, nil, nil
	c.proven, c.party = policy.Claim{}, nil
	c.body, c.out, c.reply, c.said = keep(c.body), keep(c.out), keep(c.reply), keep(c.said)
	c.seen, c.dest, c.rule = llm.Glance{}, nil, nil
	if c.decoded != nil {
		c.decoded, c.adapted = nil, llm.Call{}
	}
	c.judged = judged{}
	c.wanted, c.drawn = account.Want{}, 0
	c.leg.clear()
	c.leg.failed = false
	c.saturated, c.described, c.stood, c.dry = nil, false, false, false
	c.views, c.order, c.forward, c.chain = c.views[:0], c.order[:0], c.forward[:0], c.chain[:0]
	clear(c.req.Header)
	c.req.Header, c.req.Body = c.req.Header[:0], nil
	c.front, c.back, c.req.Front, c.req.Back = nil, nil, nil, nil
	c.use, c.invoked = "", dialect.InvokeNoEmbedding
	c.values, c.refusal, c.answered = nil, h1.Header{}, h1.Header{}
	c.says, c.betas = nil, ""
	c.heading.forget()
	c.place, c.named, c.object = place{}, named{}, owner.Object{}
	c.events.Release()
	c.chunks.Release()
	c.admitted, c.chosen, c.committed, c.abort, c.lossless = false, false, false, false, false
	clear(c.ex.Attempts)
	clear(c.ex.Choice)
	c.choice = c.ex.Choice[:0]
	c.ex.Losses, c.ex.Tags = nil, nil
}

func keep(b []byte) []byte {
	if cap(b) > kept {
		return nil
	}
	return b[:0]
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// newID makes a request id: 48 bits of milliseconds, so that ids sort by time, and 80
// random bits. No right hangs on knowing one.
func newID(at time.Time) string {
	return requestID(uint64(at.UnixMilli())<<16|rand.Uint64()>>48, rand.Uint64())
}

// requestID writes 128 bits in base 32, the last digit with three of them.
func requestID(high, low uint64) string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	text := [...]byte{'r', 'e', 'q', '_', 29: digits[low&7<<2]}
	high, low = high>>3, low>>3|high<<61
	for i := 28; i > 3; i-- {
		text[i] = digits[low&31]
		high, low = high>>5, low>>5|high<<59
	}
	return string(text[:])
}

// accept refuses what no body could make right.
func (c *call) accept() *llm.Fault {
	switch {
	case c.r.Method != c.surface.method:
		c.w.Header().Set("Allow", c.surface.methods())
		return &llm.Fault{Kind: llm.FaultMethod, Message: fmt.Sprintf("%s takes %s, not %s", c.r.URL.Path, c.surface.methods(), cut(c.r.Method, 20))}
	case c.says.compressed:
		return &llm.Fault{Kind: llm.FaultBadRequest, Message: "the body is compressed; send it without Content-Encoding"}
	case c.surface.op == llm.OpRealtime:
		return c.wantsSocket()
	}
	return nil
}

// bodyTimeout is how long a client may take to send its body; slower is an
// attack or a dead connection.
const bodyTimeout = 60 * time.Second

// read takes the whole body into memory before anything is sent upstream:
// routing and retrying need it, and streaming it through truncates answers when
// an upstream replies early.
func (c *call) read() *llm.Fault {
	limit := c.plane.Listen.MaxBody
	size := c.r.ContentLength
	if size > limit {
		return tooLarge(limit)
	}
	rc := http.NewResponseController(c.w)
	_ = rc.SetReadDeadline(c.ex.Start.Add(bodyTimeout)) // unsupported only without a connection
	c.body = grow(c.body[:0], int(max(size, 0))+1)
	for {
		n, err := c.r.Body.Read(c.body[len(c.body):cap(c.body)])
		c.body = c.body[:len(c.body)+n]
		if int64(len(c.body)) > limit {
			return tooLarge(limit)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return c.unread(err)
		}
		if len(c.body) == cap(c.body) {
			c.body = grow(c.body, 2*cap(c.body))
		}
	}
	_ = rc.SetReadDeadline(time.Time{})
	c.ex.Bytes = len(c.body)
	return nil
}

// grow returns b with a capacity of n at least.
func grow(b []byte, n int) []byte {
	if cap(b) >= n {
		return b
	}
	return append(make([]byte, 0, n), b...)
}

func tooLarge(limit int64) *llm.Fault {
	return &llm.Fault{Kind: llm.FaultTooLarge, Message: fmt.Sprintf("the body is larger than %d bytes; listen.max_body sets the limit", limit)}
}

// unread says why a body could not be read. The server ends the context of a
// request for a timeout, too; and by one, a stop ends the wait for a body.
func (c *call) unread(err error) *llm.Fault {
	if c.ctx.Err() != nil && (c.gateway.cutting.Load() || !errors.Is(err, os.ErrDeadlineExceeded)) {
		return &llm.Fault{Kind: llm.FaultClientGone, Message: "the caller left", Err: err}
	}
	text := fmt.Sprintf("the body did not arrive whole within %v", bodyTimeout)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		text = "the body cannot be read: " + err.Error() // in the words of the server: its framing is wrong
	}
	return &llm.Fault{Kind: llm.FaultBadRequest, Message: text, Err: err}
}

// glance finds out what is asked for.
func (c *call) glance() *llm.Fault {
	switch {
	case c.surface.op == llm.OpInvoke:
		c.openInvoke()
	case c.surface.enveloped:
		c.openVertex()
	}
	if c.surface.forward != nil {
		return c.glanceForward()
	}
	c.writePlace()
	seen, err := c.surface.dialect.Glance(c.body, &c.at)
	c.seen = seen
	c.seen.Op = c.surface.op
	c.readPlace()
	c.ex.Model, c.ex.Stream, c.ex.MaxTokens = cut(c.seen.Model, 200), c.seen.Stream, c.seen.MaxTokens
	if err != nil {
		return &llm.Fault{Kind: llm.FaultBadRequest, Message: err.Error()}
	}
	return nil
}

// resolve finds out where the model's name leads and what rules hold there.
func (c *call) resolve() *llm.Fault {
	dest, f := c.destination()
	if f != nil {
		return f
	}
	c.dest = dest
	c.ex.Reason = dest.why
	rules := dest.timeouts
	if c.seen.Op == llm.OpRealtime {
		rules = sessionTimeouts(rules)
	}
	if c.says.timed {
		var err error
		if rules, err = readTimeouts(c.r.Header, rules, c.seen.Stream); err != nil {
			return &llm.Fault{Kind: llm.FaultBadRequest, Message: err.Error()}
		}
	}
	c.to, c.deadline = rules, c.ex.Start.Add(rules.Total)
	return nil
}

// admit writes the open record: from here on the exchange is in the ledger,
// whatever dies.
func (c *call) admit() {
	if c.admitted {
		return
	}
	c.admitted = true
	c.ex.Admitted = time.Since(c.ex.Start)
	if err := c.gateway.journal.Admit(&c.ex); err != nil {
		c.gateway.ledgerFailed(c, err)
	}
}

// replicaWait is when a caller may ask again for a model of which no replica is
// known; a discovered one is there within a few seconds after it is ready.
const replicaWait = 5 * time.Second

// choose ranks the candidates.
func (c *call) choose() *llm.Fault {
	if !c.dry {
		c.dest.metrics.InFlight.Inc()
		c.chosen = true
	}
	if len(c.dest.candidates) == 0 {
		return &llm.Fault{
			Kind: llm.FaultUnavailable, Retry: llm.RetrySame, Scope: llm.ScopeModel, Phase: llm.PhaseAdmit, After: replicaWait,
			Message: fmt.Sprintf("no replica of model %q is known now; `tailplane models` shows why", cut(c.dest.name, 100)),
		}
	}
	at := c.now()
	if !c.stood {
		c.standings(at)
	}
	c.passOver()
	if c.dest.balanced {
		c.balance(at)
		if f := c.reconsider(); f != nil {
			return f
		}
	}
	var why route.Why
	c.order, why = route.Order(c.order[:0], c.views, c.plane.roll())
	if why == route.WhyNobody {
		return c.nobody()
	}
	if c.dest.balanced {
		c.noteChoice()
	}
	if c.dest.single {
		c.order = c.order[:1]
	}
	if len(c.dest.candidates) > 1 {
		c.ex.Reason = string(why)
	}
	if c.rule != nil {
		c.ex.Reason = c.rule.told(why)
	}
	if c.judged.why != "" {
		c.ex.Reason = c.judged.why + "; " + c.ex.Reason
	}
	if why == route.WhySpill && !c.dry {
		c.countSpill()
	}
	return nil
}
