package gateway

import (
	"net/http"
	"strings"

	"tailplane/internal/h1"
	"tailplane/internal/policy"
)

// heading is what the head of a request says: who calls, for whom, and how the
// request is to be treated. It is read once for each head, before anything is
// decided, and holds nothing of one request alone.
type heading struct {
	config string // the hash of the settings by which it was read

	auth, key, source string // the Authorization; the key that is shown, and by which header
	shown             policy.Shown
	trace, client     string // as the record has them
	session           string
	tags              []string
	customer          policy.Claim
	compressed        bool // the body is
	lossless          bool
	timed             bool // it has timeouts of its own
	hasty             bool // it says within what time the answer must begin
	steered           bool // it names the replicas that may answer

	forward []h1.Field // what a provider is to see: first what one of the client's dialect alone is,
	any     int        // from here on what everyone is,
	aws     int        // from here on what Bedrock alone is
}

// keeper is a context that keeps something for the requests of a connection that
// have the same head; nil when there is nothing to expect.
type keeper interface{ Kept() *any }

// hear finds out what the head says: what it said before, or by reading it.
func (c *call) hear() {
	c.says = &c.heading
	if k, ok := c.ctx.(keeper); ok {
		if kept := k.Kept(); kept != nil {
			if known, is := (*kept).(*heading); is && known.config == c.plane.Hash {
				c.says = known
				return
			}
			c.says = &heading{}
			*kept = c.says
		}
	}
	c.says.read(c.plane, c.r.Header)
}

// read makes h what a head says to a plane.
func (h *heading) read(p *Plane, head http.Header) {
	*h = heading{
		config: p.Hash, auth: field(head, "Authorization"), trace: cut(field(head, "X-Request-Id"), 128), client: cut(field(head, "User-Agent"), 64),
		tags: h.tags[:0], forward: h.forward[:0],
	}
	h.key, h.source = credential(h.auth, head)
	h.shown = p.Keys.Show(h.key)
	encoding := field(head, "Content-Encoding")
	h.compressed = encoding != "" && !strings.EqualFold(encoding, "identity")
	lossless := field(head, "X-Tailplane-Lossless")
	h.lossless = lossless != "" && lossless != "false" && lossless != "0"
	h.timed, h.hasty = has(head, timeoutHeaders[:]), has(head, withinHeaders[:])
	h.steered = has(head, steeringHeaders[:])
	h.party(&p.claims, head)
	h.forward = picked(h.forward, head, dialectForwardable[:])
	h.any = len(h.forward)
	h.forward = picked(h.forward, head, forwardable[:])
	h.aws = len(h.forward)
	h.forward = picked(h.forward, head, awsForwardable[:])
}

// forget lets go of everything but memory.
func (h *heading) forget() {
	clear(h.tags)
	clear(h.forward)
	*h = heading{tags: h.tags[:0], forward: h.forward[:0]}
}

// party reads for whom the request is, as far as its head says.
func (h *heading) party(names *claimHeaders, head http.Header) {
	for _, name := range names.customer {
		if values := head[name]; len(values) > 0 && values[0] != "" {
			h.customer = policy.Claim{Customer: values[0], From: strings.ToLower(name)}
			break
		}
	}
	for _, name := range names.session {
		if values := head[name]; len(values) > 0 {
			h.session = policy.CleanSession(values[0])
			break
		}
	}
	for _, name := range names.tags {
		for _, value := range head[name] {
			h.tags = append(h.tags, strings.Split(value, ",")...)
		}
	}
}

// has reports whether there is a field with one of some names, all canonical.
func has(head http.Header, names []string) bool {
	for _, name := range names {
		if len(head[name]) > 0 {
			return true
		}
	}
	return false
}

// passed is a field of a client's request that means something to a provider.
type passed struct {
	name string // canonical
	wire string
}

// dialectForwardable are the fields that mean something to a provider of the
// client's dialect.
var dialectForwardable = [...]passed{
	{"Anthropic-Version", "anthropic-version"},
	{"Anthropic-Beta", "anthropic-beta"},
	{"Openai-Beta", "openai-beta"},
}

// forwardable are those of a trace, which go to every target.
var forwardable = [...]passed{
	{"Traceparent", "traceparent"},
	{"Tracestate", "tracestate"},
}

// awsForwardable are those that mean something to Bedrock alone, whatever the
// dialect: a guardrail that a client asks for must not get lost.
var awsForwardable = [...]passed{
	{"X-Amzn-Bedrock-Guardrailidentifier", "x-amzn-bedrock-guardrailidentifier"},
	{"X-Amzn-Bedrock-Guardrailversion", "x-amzn-bedrock-guardrailversion"},
	{"X-Amzn-Bedrock-Trace", "x-amzn-bedrock-trace"},
	{"X-Amzn-Bedrock-Performanceconfig-Latency", "x-amzn-bedrock-performanceconfig-latency"},
	{"X-Amzn-Bedrock-Service-Tier", "x-amzn-bedrock-service-tier"},
}

// picked appends those of some fields that a head has.
func picked(to []h1.Field, head http.Header, of []passed) []h1.Field {
	for _, f := range of {
		for _, value := range head[f.name] {
			to = append(to, h1.Field{Name: f.wire, Value: value})
		}
	}
	return to
}
