package egress

import "time"

// ruling is a policy in force, with the reasons of what it names.
type ruling struct {
	*Policy
	why     map[endpoint]string
	leaving map[endpoint]departure
}

// departure is a destination that a policy before has named, and this one does not.
type departure struct {
	why     string
	guarded bool
	until   time.Time
}

// farewell is how long what a replaced policy has named may still be dialed: the
// default of the longest time that a request takes, retries included.
const farewell = 15 * time.Minute

// Enforce puts a policy into force, for every dial from now on. Connections
// that are open stay open.
func (n *Network) Enforce(c Config, named []Destination) { n.policy.Store(newRuling(c, named)) }

// Replace is Enforce while requests run: those that began under the policy before
// may go on dialing what it named, for a quarter of an hour. Nothing that begins
// later wants to: what leads there is no longer in the config. One caller at a time.
func (n *Network) Replace(c Config, named []Destination) {
	next, before, now := newRuling(c, named), n.policy.Load(), time.Now()
	next.leaving = map[endpoint]departure{}
	for at, d := range before.leaving {
		if d.until.After(now) {
			next.leaving[at] = d
		}
	}
	for at, guarded := range before.named {
		next.leaving[at] = departure{before.why[at], guarded, now.Add(farewell)}
	}
	for at := range next.named {
		delete(next.leaving, at)
	}
	n.policy.Store(next)
}

func newRuling(c Config, named []Destination) *ruling {
	r := &ruling{Policy: NewPolicy(c, named), why: map[endpoint]string{}}
	for _, d := range named {
		host, port, err := split(d.Address)
		if err != nil {
			continue
		}
		at := endpoint{host, port}
		if have := r.why[at]; have != "" && have != d.Why {
			r.why[at] = have + ", " + d.Why
		} else {
			r.why[at] = d.Why
		}
	}
	return r
}

// toward is the ruling for a dial to one endpoint: one that is leaving is named as
// it was.
func (r *ruling) toward(at endpoint, now time.Time) *ruling {
	d, ok := r.leaving[at]
	if !ok || !d.until.After(now) {
		return r
	}
	named := map[endpoint]bool{at: d.guarded}
	return &ruling{Policy: &Policy{deny: r.deny, named: named, allow: r.allow}, why: map[endpoint]string{at: d.why}}
}
