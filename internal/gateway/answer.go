package gateway

import (
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/dialect"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/suggest"
	"tailplane/internal/upstream"
)

// head sets the headers that every answer has. resp is the upstream's, nil for
// an answer of our own, which tells the limits of an upstream that refused. All
// values share one slice, so that a head costs one allocation however many
// headers it has.
func (c *call) head(contentType string, resp *h1.Response, target *candidate) {
	c.values = make([]string, 0, 16) // not pooled: the server may look at it when the call is closed
	c.set("Content-Type", contentType)
	c.set(c.idHeader(), c.ex.ID)
	if c.gateway.draining.Load() {
		c.set("Connection", "close")
	}
	if target != nil {
		c.set("X-Tailplane-Target", target.Name)
		c.set("X-Tailplane-Model", target.model)
		if c.key.MayRoute && c.says.steered {
			c.set(headerServed, target.Address())
		}
		if target.deprecation != "" {
			c.set("Deprecation", target.deprecation)
		}
		if target.sunset != "" {
			c.set("Sunset", target.sunset)
		}
		if c.tap.ID != "" && c.ex.Dialect == llm.Responses && c.ex.Attempts[len(c.ex.Attempts)-1].Lane == laneSplice {
			c.keepResponse(target)
		}
	}
	if len(c.ex.Losses) > 0 {
		c.set("X-Tailplane-Loss", lossHeader(c.ex.Losses))
	}
	if c.tellLimits() {
		return
	}
	from := &c.refusal
	if resp != nil {
		from = &resp.Header
	}
	d := c.surface.dialect.Name()
	for name, value := range from.All() {
		if n, v, ok := upstream.RateHeader(name, value, d, c.ex.Start); ok {
			c.set(canonical(n), v)
		}
	}
}

// set sets a header of the answer.
func (c *call) set(name, value string) {
	c.values = append(c.values, value)
	c.w.Header()[name] = c.values[len(c.values)-1 : len(c.values) : len(c.values)]
}

// rateNames are the spellings in which providers send their limits, by which
// those need no new string.
var rateNames = func() map[string]string {
	m := map[string]string{}
	for _, unit := range [...]string{"requests", "tokens", "input-tokens", "output-tokens"} {
		for _, measure := range [...]string{"limit", "remaining", "reset"} {
			for _, name := range [...]string{"x-ratelimit-" + measure + "-" + unit, "anthropic-ratelimit-" + unit + "-" + measure} {
				m[name] = http.CanonicalHeaderKey(name)
			}
		}
	}
	return m
}()

func canonical(name string) string {
	if known, ok := rateNames[name]; ok {
		return known
	}
	return http.CanonicalHeaderKey(name)
}

// idHeader is where the client's SDK looks for the id of its request.
func (c *call) idHeader() string {
	if _, aws := c.surface.dialect.(dialect.TypedErrors); aws {
		return "X-Amzn-Requestid"
	}
	if c.surface.dialect.Name() == llm.Anthropic {
		return "Request-Id"
	}
	return "X-Request-Id"
}

// lossHeader names what was lost, each feature once, within the bounds of a
// header.
func lossHeader(losses []llm.Loss) string {
	var b strings.Builder
	for i, l := range losses {
		if b.Len() > 900 {
			fmt.Fprintf(&b, ", and %d more", len(losses)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		for _, r := range l.Feature {
			if r > ' ' && r < 0x7f && r != ',' {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

// end tells the client of a fault that it does not know of yet: as an error
// answer when nothing has been sent, else as the last event of its stream.
func (c *call) end(f *llm.Fault) {
	if f == nil {
		c.ex.Outcome = ledger.OutcomeOK
		return
	}
	if f.Kind == llm.FaultClientGone && c.gateway.cutting.Load() {
		f = stopped(f.Err)
	}
	f = c.told(f)
	c.ex.Fault, c.ex.Message = f.Kind, cut(f.Message, 500)
	switch {
	case f.Kind == llm.FaultClientGone:
		c.ex.Outcome, c.ex.Status = ledger.OutcomeGone, f.ClientStatus()
		c.abort = true // whoever still listens must not take what was sent for an answer
		return
	case c.committed:
		c.ex.Outcome = ledger.OutcomeBroken
		c.breakOff(f)
		return
	case len(c.ex.Attempts) == 0:
		c.ex.Outcome = ledger.OutcomeRefused
	default:
		c.ex.Outcome = ledger.OutcomeFailed
	}
	c.refuse(f)
}

// told is what the client hears of a fault. That a provider refused our
// credential is none of its business beyond whose fault it is: the provider's
// own words, which may quote the key, stay in the record of the attempt. A
// model that the provider does not know may be a typo.
func (c *call) told(f *llm.Fault) *llm.Fault {
	if len(c.ex.Attempts) == 0 {
		return f
	}
	out := *f
	if f.Kind == llm.FaultUnknownModel {
		near := c.plane.Catalog.Near(c.seen.Model)
		out.Message += suggest.Phrase(slices.DeleteFunc(near, func(n string) bool { return !c.mayCall(n) }))
		return &out
	}
	if f.Kind != llm.FaultCredential {
		return f
	}
	out.Type, out.Code, out.Param = "", "", ""
	out.Message = fmt.Sprintf("target %s refused the gateway's credential; its operator has to mend that", c.ex.Attempts[len(c.ex.Attempts)-1].Target)
	return &out
}

// refuse answers with an error in the client's dialect.
func (c *call) refuse(f *llm.Fault) {
	status := f.ClientStatus()
	if (f.Kind == llm.FaultBadRequest || f.Kind == llm.FaultUnauthorized) && f.Status/100 == 4 {
		status = f.Status
	}
	c.ex.Status = status
	c.head("application/json", nil, nil)
	h := c.w.Header()
	if f.After > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.After.Seconds()))))
		h.Set("Retry-After-Ms", strconv.FormatInt(f.After.Milliseconds(), 10))
	}
	if len(c.ex.Attempts) > 0 && f.After == 0 || f.Kind == llm.FaultQuota && (f.After == 0 || f.After > time.Minute) {
		// The attempts that could help have been made, or nothing helps soon: an
		// SDK that retries on top of them only multiplies the load.
		h.Set("X-Should-Retry", "false")
	}
	if status == http.StatusUnauthorized {
		h.Set("Www-Authenticate", `Bearer realm="tailplane"`)
	}
	if c.r.ProtoMajor < 2 && (f.Kind == llm.FaultTooLarge || f.Kind == llm.FaultBadRequest && len(c.ex.Attempts) == 0) {
		// The rest of the body may still be on its way. In HTTP/2 that is the
		// stream's affair, and other requests are on the connection.
		h.Set("Connection", "close")
	}
	if typed, ok := c.surface.dialect.(dialect.TypedErrors); ok {
		h.Set(typed.ErrorHeader(), typed.ErrorType(f))
	}
	body := c.surface.dialect.EncodeError(f, c.ex.ID)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	n, _ := c.w.Write(body)
	c.ex.SentBytes += int64(n)
}

// breakOff ends a stream that has begun with an error event, so that no client
// takes it for a clean end. An answer that is not a stream is cut.
func (c *call) breakOff(f *llm.Fault) {
	if !c.seen.Stream {
		c.abort = true
		return
	}
	c.out = c.surface.dialect.AppendFault(c.out[:0], f, c.ex.ID)
	n, _ := c.w.Write(c.out)
	c.ex.SentBytes += int64(n)
	c.flush()
}

// flush sends what was written to the client now.
func (c *call) flush() {
	if f, ok := c.w.(http.Flusher); ok {
		f.Flush()
	}
}

// bug turns a panic into the fault of one request.
func (c *call) bug(cause any) *llm.Fault {
	c.gateway.log.Error("a bug: the request panicked", "request", c.ex.ID, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
	return &llm.Fault{
		Kind: llm.FaultInternal, Retry: llm.RetryNever, Scope: llm.ScopeRequest,
		Message: "something went wrong inside the gateway; the request id finds it in its log",
	}
}

// writeWhole answers with a complete body.
func (c *call) writeWhole(body []byte) *llm.Fault {
	c.ex.Status = http.StatusOK
	c.set("Content-Length", strconv.Itoa(len(body)))
	c.committed = true
	if c.ex.FirstToken == 0 {
		c.ex.FirstToken = time.Since(c.ex.Start)
	}
	return c.writeBody(body)
}

// buffered is how much of an answer goes out in any case: it fits into what the server
// and the kernel keep for a client.
const buffered = 4 << 10

// writeBody writes a whole body. A client that never reads must not hold the request,
// and with it the place at the target, for ever.
func (c *call) writeBody(body []byte) *llm.Fault {
	if len(body) > buffered {
		until := c.deadline
		if c.dest == nil { // answered from what the plane knows
			until = now().Add(bodyTimeout)
		}
		setWriteDeadline(c.w, until.Add(drainTime))
		defer setWriteDeadline(c.w, time.Time{})
	}
	n, err := c.w.Write(body)
	c.ex.SentBytes += int64(n)
	if err != nil {
		return clientGone(err)
	}
	return nil
}

// stopped is the fault of a request that the gateway does not wait for any longer.
func stopped(err error) *llm.Fault {
	return &llm.Fault{
		Kind: llm.FaultStopped, Retry: llm.RetryNever, Scope: llm.ScopeRequest, After: time.Second,
		Message: "the gateway stopped, and did not wait any longer for the answer to end; ask again", Err: err,
	}
}

// clientGone is the fault of a caller that cannot be written to.
func clientGone(err error) *llm.Fault {
	return &llm.Fault{Kind: llm.FaultClientGone, Retry: llm.RetryNever, Scope: llm.ScopeRequest, Phase: llm.PhaseStream, Message: "the caller left", Err: err}
}
