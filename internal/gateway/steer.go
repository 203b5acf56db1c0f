package gateway

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/models"
	"tailplane/internal/wire"
)

// The rules of steering:
//
//   - A caller whose key may route chooses targets in the words that OpenRouter
//     has for it (`models` and `provider` in the body), or by the headers of the
//     Gateway API inference extension.
//   - What is understood here is taken out of the body, so that no upstream
//     stumbles over it. What is not is refused: a wish that is dropped silently
//     may be one about privacy.
//   - For other keys these members mean nothing and go on as they are.

// steering is what a caller wants of the route.
type steering struct {
	models    []string
	order     []string // targets or kinds, first to last
	only      []string
	ignore    []string
	addresses []string // the only ones that may be asked
	policy    models.Policy
	require   []string // labels
	prompt    float64  // the most that a million tokens may cost, in dollars; 0 is any price
	answer    float64
	single    bool // no other candidate than the first is asked
	lossless  bool
}

// The headers by which another gateway, or an endpoint picker, says where a
// request must go, and by which it is told where it went.
const (
	headerEndpoint = "X-Gateway-Destination-Endpoint"
	headerSubset   = "X-Gateway-Destination-Endpoint-Subset"
	headerServed   = "X-Gateway-Destination-Endpoint-Served"
)

// steeringHeaders are those that name replicas.
var steeringHeaders = [...]string{headerEndpoint, headerSubset}

// steered is a destination as the caller wants it.
func (c *call) steered(d *destination) (*destination, *llm.Fault) {
	if !c.key.MayRoute || c.surface.forward != nil {
		return d, nil
	}
	var s steering
	if f := c.wishes(&s); f != nil {
		return nil, f
	}
	for _, name := range steeringHeaders {
		for _, value := range c.r.Header[name] {
			for at := range strings.SplitSeq(value, ",") {
				s.addresses = append(s.addresses, strings.TrimSpace(at))
			}
		}
	}
	if s.isZero() {
		return d, nil
	}
	c.lossless = c.lossless || s.lossless
	return c.follows(d, &s)
}

func (s *steering) isZero() bool {
	return len(s.models)+len(s.order)+len(s.only)+len(s.ignore)+len(s.addresses)+len(s.require) == 0 && s.policy.IsZero() &&
		s.prompt == 0 && s.answer == 0 && !s.single && !s.lossless
}

// wishes reads what the body says of the route and takes it out.
func (c *call) wishes(s *steering) *llm.Fault {
	if !c.mentions(wordProvider) && !c.mentions(wordModels) {
		return nil
	}
	var found [2]wire.Member
	_, err := wire.Scan(c.body, []string{"models", "provider"}, found[:])
	if err != nil || found[0].IsZero() && found[1].IsZero() {
		return nil
	}
	if !found[0].IsZero() {
		if s.models = texts(c.body, found[0].Value); len(s.models) == 0 || len(s.models) > mostModels {
			return steerFault("models", fmt.Sprintf("`models` must list 1 to %d names", mostModels))
		}
	}
	if !found[1].IsZero() {
		for m := range wire.Members(c.body, found[1].Value) {
			if f := s.wish(c.body, m); f != nil {
				return f
			}
		}
	}
	for _, name := range []string{"models", "provider"} {
		var m [1]wire.Member
		if object, err := wire.Scan(c.body, []string{name}, m[:]); err == nil && !m[0].IsZero() {
			c.body = wire.Splice(nil, c.body, wire.DropMember(c.body, object, m[0]))
		}
	}
	_, err = c.surface.dialect.Glance(c.body, &c.at) // its members stand elsewhere now
	if err != nil {
		return &llm.Fault{Kind: llm.FaultBadRequest, Message: err.Error()}
	}
	return nil
}

// mostModels bounds what a request may list.
const mostModels = 16

// texts are the strings of an array.
func texts(body []byte, at wire.Span) []string {
	var out []string
	for e := range wire.Elements(body, at) {
		if s, ok := wire.String(e.Of(body)); ok {
			out = append(out, s)
		}
	}
	return out
}

func steerFault(param, message string) *llm.Fault {
	return &llm.Fault{Kind: llm.FaultBadRequest, Param: param, Message: message}
}

// wish takes in one member of `provider`.
func (s *steering) wish(body []byte, m wire.Member) *llm.Fault {
	name, _ := wire.String(m.Key.Of(body))
	value := string(bytes.TrimSpace(m.Value.Of(body)))
	word, _ := wire.String([]byte(value))
	switch {
	case name == "order":
		s.order = texts(body, m.Value)
	case name == "only":
		s.only = texts(body, m.Value)
	case name == "ignore":
		s.ignore = texts(body, m.Value)
	case name == "allow_fallbacks":
		s.single = value == "false"
	case name == "require_parameters":
		s.lossless = value == "true"
	case name == "zdr" && value == "true":
		s.require = append(s.require, "zdr")
	case name == "data_collection" && word == "deny":
		s.require = append(s.require, "no-training")
	case name == "zdr" && value == "false", name == "data_collection" && word == "allow":
	case name == "sort" && sorts[word] != "":
		s.policy.Name = sorts[word]
	case name == "max_price":
		for p := range wire.Members(body, m.Value) {
			of, _ := wire.String(p.Key.Of(body))
			dollars, err := strconv.ParseFloat(strings.Trim(string(p.Value.Of(body)), `" `), 64)
			if err != nil || dollars <= 0 || of != "prompt" && of != "completion" {
				return steerFault("provider.max_price", "`max_price` takes `prompt` and `completion`, in dollars per million tokens")
			}
			if of == "prompt" {
				s.prompt = dollars
			} else {
				s.answer = dollars
			}
		}
	default:
		return steerFault("provider."+cut(name, 40), fmt.Sprintf("%s in `provider` is not understood here; it takes order, only, ignore, sort (price, throughput, latency), max_price, allow_fallbacks, require_parameters, data_collection and zdr", cut(name, 40)))
	}
	return nil
}

// sorts are the policies behind OpenRouter's words.
var sorts = map[string]string{"price": "lowest_cost", "throughput": "lowest_latency", "latency": "lowest_latency"}

// follows makes the destination that the caller wants of the one of the model.
func (c *call) follows(d *destination, s *steering) (*destination, *llm.Fault) {
	out := d.changed()
	out.dry, out.steered = c.dry, true
	for _, name := range s.models {
		more, err := c.plane.destination(name, c.key, c.dry)
		if err != nil {
			return nil, &llm.Fault{Kind: llm.FaultUnknownModel, Param: "models", Message: err.Error()}
		}
		if !c.mayCall(name) {
			return nil, &llm.Fault{Kind: llm.FaultForbidden, Param: "models", Message: fmt.Sprintf("this key may not call model %q", cut(name, 100))}
		}
		out.append(more)
	}
	if out.made && !s.policy.IsZero() {
		return nil, steerFault("provider.sort", "`sort` compares what is known of targets; it takes models that GET /v1/models lists")
	}
	out.bar(s.bars)
	for i := range out.candidates {
		t := &out.candidates[i]
		if len(s.addresses) > 0 && !slices.Contains(s.addresses, t.Address()) {
			t.barred = cmp.Or(t.barred, "the request names other endpoints")
		}
		t.barred = cmp.Or(t.barred, c.dearer(t, s))
		if !s.policy.IsZero() {
			t.group, t.policy, t.replica = 0, s.policy, replica{}
		}
	}
	if len(s.order) > 0 {
		out.reorder(s.order)
	}
	out.single = s.single
	c.plane.replicas(out)
	return out, nil
}

// append adds the candidates of another name behind those that are there.
func (d *destination) append(more *destination) {
	if more.name == d.name {
		return
	}
	d.hedges = nil // an attempt that is not the answer may cost money there
	d.made, d.crowded = d.made || more.made, d.crowded || more.made
	last := 0
	if n := len(d.candidates); n > 0 {
		last = d.candidates[n-1].group + 1
	}
	for _, t := range more.candidates {
		t.group += last
		d.candidates = append(d.candidates, t)
	}
}

// reorder asks the targets that are named first, in that order, and then the
// others as they stood.
func (d *destination) reorder(order []string) {
	place := func(t *candidate) int {
		if at := slices.IndexFunc(order, t.called); at >= 0 {
			return at
		}
		return len(order) + t.group
	}
	slices.SortStableFunc(d.candidates, func(a, b candidate) int { return place(&a) - place(&b) })
	for i := range d.candidates {
		d.candidates[i].group = place(&d.candidates[i])
	}
}

// called reports whether a caller's word means the candidate: its target, the
// kind of that, or the model at it.
func (c *candidate) called(name string) bool {
	return c.Called(name) || strings.EqualFold(name, c.Kind.Name) || name == c.Name+"/"+c.model
}

// bars says why the caller does not want a target.
func (s *steering) bars(t *candidate) string {
	switch {
	case len(s.only) > 0 && !slices.ContainsFunc(s.only, t.called):
		return "the request leaves it out (provider.only)"
	case slices.ContainsFunc(s.ignore, t.called):
		return "the request leaves it out (provider.ignore)"
	}
	return lacks(t.Config.Labels, s.require)
}

// million is what prices are stated for.
const million = 1_000_000

// dearer says that a candidate costs more than the caller wants to pay. One
// without a known price cannot be shown to cost less.
func (c *call) dearer(t *candidate, s *steering) string {
	for _, w := range []struct {
		most  float64
		usage llm.Usage
	}{{s.prompt, llm.Usage{Input: million}}, {s.answer, llm.Usage{Output: million}}} {
		if w.most == 0 {
			continue
		}
		cost := t.rate.Cost(c.ex.Start, w.usage)
		if cost.Status == ledger.Unpriced {
			return "its price is not known, and the request bounds it (provider.max_price)"
		}
		if float64(cost.Nano) > w.most*1e9 {
			return "it costs more than provider.max_price"
		}
	}
	return ""
}
