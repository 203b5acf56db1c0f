package importer

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// model is one of ours, as it will be written.
type model struct {
	name     string
	route    []step
	pool     []string
	servedAs string
	policy   string
	fallback []fallback

	first, total time.Duration
}

type step struct {
	to     string
	weight int
}

// models turns groups of deployments and aliases into models.
func (im *importer) models() []*model {
	var out []*model
	for _, name := range im.groups {
		list := im.group(name)
		if len(list) == 1 && im.needless(list[0]) {
			im.mapped(list[0].at.get("model_name"), "TARGET/MODEL needs no entry")
			continue
		}
		for _, d := range list {
			im.mapped(d.at.get("model_name"), "models.%s", word(name))
		}
		m := &model{name: name}
		im.times(m, list)
		im.route(m, list, &out)
		out = append(out, m)
	}
	for _, a := range im.aliases {
		if !im.leads(a.value) {
			continue
		}
		out = append(out, &model{name: a.name, route: []step{{to: a.value}}})
	}
	im.link(out)
	return out
}

func (im *importer) group(name string) []*deployment {
	var out []*deployment
	for _, d := range im.deployments {
		if d.group == name && !d.wild {
			out = append(out, d)
		}
	}
	return out
}

// times are the timeouts of a model: LiteLLM has them for each deployment.
func (im *importer) times(m *model, list []*deployment) {
	for _, d := range list {
		m.total, m.first = max(m.total, d.timeout), max(m.first, d.stream)
	}
	for _, d := range list {
		for _, t := range []struct {
			at       node
			its, all time.Duration
			ours     string
		}{{d.timeoutAt, d.timeout, m.total, "timeouts.total"}, {d.streamAt, d.stream, m.first, "timeouts.first_token"}} {
			switch {
			case t.its == 0:
			case t.its == t.all:
				im.mapped(t.at, "%s: %s", t.ours, duration(t.its))
			default:
				im.approximated(t.at, "%s: %s, the longest of the model's deployments", t.ours, duration(t.all))
			}
		}
	}
}

// route orders the deployments: by order, and within one by weight.
func (im *importer) route(m *model, list []*deployment, more *[]*model) {
	levels := im.levels(list)
	shared := 0 // levels that share traffic; two of them side by side need names of their own
	for _, l := range levels {
		if len(l) > 1 {
			shared++
		}
	}
	for i, level := range levels {
		steps, pool, served := im.share(level)
		switch {
		case pool != nil && len(levels) == 1:
			m.pool, m.servedAs, m.policy = pool, served, im.policy
		case len(steps) > 1 && shared > 1:
			inner := &model{name: m.name + ".order-" + strconv.Itoa(i+1), route: steps}
			*more = append(*more, inner)
			m.route = append(m.route, step{to: inner.name})
		default:
			m.route = append(m.route, steps...)
		}
	}
}

// levels are the deployments of each order, the first one first; those without
// an order come last, as in LiteLLM.
func (im *importer) levels(list []*deployment) [][]*deployment {
	rank := func(d *deployment) int {
		n, err := strconv.Atoi(d.order)
		if err != nil {
			return 1 << 30
		}
		return n
	}
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b *deployment) int { return cmp.Compare(rank(a), rank(b)) })
	var out [][]*deployment
	for i, d := range sorted {
		im.mapped(d.orderAt, "its place in models.%s.route", word(d.group))
		if i > 0 && rank(d) == rank(sorted[i-1]) {
			out[len(out)-1] = append(out[len(out)-1], d)
			continue
		}
		out = append(out, []*deployment{d})
	}
	return out
}

// share is how the deployments of one order share their traffic.
func (im *importer) share(list []*deployment) (steps []step, pool []string, served string) {
	weights := im.weights(list)
	for i, d := range list {
		s := step{to: d.target.name + "/" + d.model}
		if len(list) > 1 {
			s.weight = weights[i]
		}
		if at := slices.IndexFunc(steps, func(o step) bool { return o.to == s.to }); at >= 0 {
			steps[at].weight += s.weight // the same deployment twice
			continue
		}
		steps = append(steps, s)
		if !slices.Contains(pool, d.target.name) {
			pool = append(pool, d.target.name)
		}
	}
	if len(steps) == 1 {
		steps[0].weight = 0
	}
	one := !slices.ContainsFunc(list, func(d *deployment) bool { return d.model != list[0].model })
	if im.policy == "" || len(steps) < 2 || !one {
		return steps, nil, ""
	}
	return steps, pool, list[0].model
}

// weights are the shares of deployments: their weights, else their limits, by
// which LiteLLM draws, too.
func (im *importer) weights(list []*deployment) []int {
	even := make([]int, len(list))
	var weights, limits []string
	for i, d := range list {
		even[i] = 1
		if d.weight != "" {
			weights = append(weights, d.weight)
		}
		if l := cmp.Or(d.rpm, d.tpm); l != "" {
			limits = append(limits, l)
		}
	}
	tell := func(at func(*deployment) node, v Verdict, says string) {
		for _, d := range list {
			im.say(at(d), v, "%s", says)
		}
	}
	limit := func(d *deployment) node { return d.rpmAt }
	weight := func(d *deployment) node { return d.weightAt }
	switch whole := shares(weights); {
	case len(weights) == len(list) && whole != nil:
		tell(weight, Mapped, "weight")
		tell(limit, Approximated, "limits of providers are learnt from their answers: left out")
		return whole
	case len(weights) > 0:
		tell(weight, Refused, "every deployment of the model needs a weight above zero: write them under route")
	}
	switch whole := shares(limits); {
	case len(limits) == len(list) && len(list) > 1 && len(weights) == 0 && whole != nil:
		tell(limit, Approximated, "the deployments share the traffic in this proportion; the limit itself is learnt from the provider's answers")
		return whole
	default:
		tell(limit, Approximated, "limits of providers are learnt from their answers: left out")
	}
	return even
}

// mostCandidates is how long a route with its fallbacks may be.
const mostCandidates = 16

// link puts the fallbacks into the models, as far as none leads back to itself.
func (im *importer) link(all []*model) {
	byName := map[string]*model{}
	for _, m := range all {
		byName[m.name] = m
	}
	for _, from := range im.fallbackNames(all) {
		m := byName[from]
		for _, f := range im.fallbacks[from] {
			switch {
			case m == nil:
				im.refused(f.at, "%s is no model here, so nothing falls back from it", word(from))
			case !im.leads(f.to):
				im.refused(f.at, "the model is not in model_list")
			case reaches(byName, f.to, from, len(all)):
				im.approximated(f.at, "it would lead from %s back to itself: left out there", word(from))
			default:
				m.fallback = append(m.fallback, f)
				if candidates(byName, from, len(all)) > mostCandidates || im.tooLong(all, byName) {
					m.fallback = m.fallback[:len(m.fallback)-1]
					im.approximated(f.at, "a model has at most %d candidates with its fallbacks: left out for %s", mostCandidates, word(from))
					continue
				}
				im.mapped(f.at, "models.%s.fallback", word(from))
			}
		}
	}
}

func (im *importer) tooLong(all []*model, byName map[string]*model) bool {
	return slices.ContainsFunc(all, func(m *model) bool { return candidates(byName, m.name, len(all)) > mostCandidates })
}

// fallbackNames are the models that have fallbacks, in the order of the file,
// then names that are none.
func (im *importer) fallbackNames(all []*model) []string {
	var out []string
	for _, m := range all {
		if len(im.fallbacks[m.name]) > 0 {
			out = append(out, m.name)
		}
	}
	var others []string
	for name := range im.fallbacks {
		if !slices.Contains(out, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return append(out, others...)
}

func (m *model) next() []string {
	var out []string
	for _, s := range m.route {
		out = append(out, s.to)
	}
	for _, f := range m.fallback {
		out = append(out, f.to)
	}
	return out
}

// reaches reports whether one model leads to another.
func reaches(byName map[string]*model, from, to string, depth int) bool {
	if from == to {
		return true
	}
	m := byName[from]
	if m == nil || depth == 0 {
		return false
	}
	return slices.ContainsFunc(m.next(), func(n string) bool { return reaches(byName, n, to, depth-1) })
}

// candidates counts where a model's requests may go.
func candidates(byName map[string]*model, name string, depth int) int {
	m := byName[name]
	if m == nil || depth < 0 {
		return 1
	}
	n := len(m.pool)
	for _, next := range m.next() {
		if n += candidates(byName, next, depth-1); n > mostCandidates {
			return n
		}
	}
	return n
}
