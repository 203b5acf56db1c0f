package complexity

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
)

// Router decides for one model name. Its promises to customers are worked out
// when it is built; what changes while it runs is the guard. It is safe for
// concurrent use.
type Router struct {
	model      *Model
	guard      *Guard
	extractors Extractors
	threshold  float32
	floor      Floor
	customers  map[string]Floor
	share      float64 // the floor of customers who are not named
	cascade    bool
	least      float64 // log-probability of a weak answer that is trusted
}

// NewRouter takes a valid config and the model that it names. old is the router
// before a reload, or nil: what its guard has seen is kept while the model is the
// same one.
func NewRouter(c Config, m *Model, old *Router) *Router {
	guard := NewGuard(m, c.Drift)
	if old != nil && old.model == m && old.guard.set == guard.set {
		guard = old.guard
	}
	r := &Router{model: m, guard: guard, threshold: math.MaxFloat32, customers: map[string]Floor{}, share: c.Floor, cascade: c.Cascade, least: c.LeastLogprob}
	if c.StrongShare != nil {
		r.threshold = m.Threshold(*c.StrongShare)
	}
	r.floor = promise(m, "", c.Floor)
	// Customers who have outcomes of their own are judged by them, named or not.
	for _, l := range m.ladders {
		if l.Customer != "" {
			r.customers[l.Customer] = promise(m, l.Customer, c.Floor)
		}
	}
	for name, share := range c.Customers {
		r.customers[name] = promise(m, name, share)
	}
	return r
}

func promise(m *Model, customer string, share float64) Floor {
	if share <= 0 {
		return Floor{}
	}
	limit, ok := m.Floor(customer, share)
	return Floor{share, limit, ok}
}

// Ask is a request to decide about.
type Ask struct {
	Customer string
	// Text is what the user asks: the text of the last turn.
	Text string
	// Embedding is that of [Excerpt] of the text; empty where nobody made one.
	Embedding Embedding
	Held      Choice // see [Facts]
}

// Route decides about a request that is under way. The guard learns of each that has
// a text, and an embedding of the right model where the trained model wants one.
func (r *Router) Route(a Ask) Decision {
	return r.decide(a, r.guard)
}

// Look is what [Router.Route] would decide, of which the guard does not learn.
func (r *Router) Look(a Ask) Decision {
	return r.decide(a, nil)
}

// decide scores a request, shows that to learner where there is one, and decides.
func (r *Router) decide(a Ask, learner *Guard) (d Decision) {
	if a.Text == "" {
		return Decision{Choice: Strong, Why: BecauseNoText}
	}
	wanted := r.model.Embedding
	if wanted == "" || a.Embedding.Model != wanted {
		a.Embedding = Embedding{}
	}
	r.extractors.See(r.model.Seed, a.Text, a.Embedding, func(v Vector) {
		if v.Embedding != wanted {
			d = Decide(Facts{Blind: true, Held: a.Held})
			return
		}
		score := r.model.Score(v)
		if learner != nil {
			learner.Observe(score, &v.Shape)
		}
		d = Decide(Facts{Score: score, Threshold: r.threshold, Floor: r.FloorOf(a.Customer), Sight: r.guard.Look(score), Held: a.Held})
	})
	return d
}

// FloorOf is what is promised to a customer.
func (r *Router) FloorOf(customer string) Floor {
	if f, named := r.customers[customer]; named {
		return f
	}
	return r.floor
}

// Embedding is the model whose embeddings [Router.Route] wants; empty if none.
func (r *Router) Embedding() string { return r.model.Embedding }

// Cascades reports whether weak answers are to be looked at before they are sent.
func (r *Router) Cascades() bool { return r.cascade }

// Check is [Check] as the config wants it.
func (r *Router) Check(a Answer) Flaw { return Check(a, r.least) }

// Sight is what the guard thinks of the traffic now.
func (r *Router) Sight() Sight { return r.guard.Now() }

// Warnings are what an operator should know of a config and its model together.
// embeddings are the models by which its requests are embedded, if any.
func (r *Router) Warnings(embeddings []string) (out []string) {
	switch wanted := r.model.Embedding; {
	case wanted == "" && len(embeddings) > 0:
		out = append(out, "the model was trained without embeddings and ignores them: they are collected for the next training")
	case wanted != "" && len(embeddings) == 0:
		out = append(out, fmt.Sprintf("the model was trained with embeddings of %q, and the config names none: the strong model gets everything", wanted))
	case wanted != "" && !slices.Contains(embeddings, wanted):
		out = append(out, fmt.Sprintf("the model was trained with embeddings of %q, and those of the config are of %q: the strong model gets everything", wanted, embeddings))
	}
	if r.floor.Share > 0 && !r.floor.Proven {
		out = append(out, fmt.Sprintf("the outcomes that the model was trained on do not support a floor of %v: the strong model gets everything", r.floor.Share))
	}
	for _, name := range slices.Sorted(maps.Keys(r.customers)) {
		f := r.customers[name]
		if f.Share > 0 && !f.Proven && (f.Share != r.floor.Share || r.floor.Proven) {
			out = append(out, fmt.Sprintf("the outcomes do not support a floor of %v for the customer %q: the strong model gets everything", f.Share, name))
		}
	}
	return out
}

// Extractors lends extractors to goroutines. The zero value is ready.
type Extractors struct{ pool sync.Pool }

// See calls use with the vector of a text and its embedding, which holds until use
// returns.
func (e *Extractors) See(seed uint64, text string, of Embedding, use func(Vector)) {
	x, ok := e.pool.Get().(*Extractor)
	if !ok {
		x = &Extractor{}
	}
	v := x.Extract(seed, text)
	if v.Meaning = x.Meaning(seed, of); len(v.Meaning) > 0 {
		v.Embedding = of.Model
	}
	use(v)
	e.pool.Put(x)
}
