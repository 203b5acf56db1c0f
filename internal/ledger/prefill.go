package ledger

// WhyPrefill is the [Attempt.Why] of an attempt that computes the prompt for the one
// behind it, which answers. Its tokens are told and count for nobody: the prompt is
// counted where it is answered. What its target costs by the hour counts.
const WhyPrefill = "prefill"

// Leg reports whether the attempt only computes the prompt for the one behind it.
func (a *Attempt) Leg() bool { return a.Why == WhyPrefill }

// Prefill is how it was decided who computes the prompt of an exchange whose model has
// replicas for that. Of several attempts it is that of the last that was given one, else
// of the last.
type Prefill struct {
	Target     string `json:"target,omitempty"` // who was to compute it; empty: the replica that answers
	Convention string `json:"convention"`
	Why        string `json:"why"`      // by what the target was chosen, or why there is none
	Uncached   int    `json:"uncached"` // of the prompt, tokens that the replica that answers is not thought to hold
	// Policy, Among and Choice are as those of the exchange; without a target they are
	// those that there were.
	Policy string   `json:"policy,omitempty"`
	Among  int      `json:"among,omitempty"`
	Choice []Choice `json:"choice,omitempty"`
}

// IsZero reports whether there was nothing to decide.
func (p *Prefill) IsZero() bool {
	return p.Target == "" && p.Convention == "" && p.Why == "" && p.Uncached == 0 && p.Policy == "" && p.Among == 0 && len(p.Choice) == 0
}

func appendPrefill(b []byte, p *Prefill) []byte {
	b = putText(b, 1, p.Target)
	b = putText(b, 2, p.Convention)
	b = putText(b, 3, p.Why)
	b = putInt(b, 4, int64(p.Uncached))
	b = putText(b, 5, p.Policy)
	b = putInt(b, 6, int64(p.Among))
	for i := range p.Choice {
		b = nest(b, 7)
		begin := len(b)
		b = closeNest(appendChoice(b, &p.Choice[i]), begin)
	}
	return b
}

func decodePrefill(p *Prefill, text string) bool {
	m := message{rest: text}
	for m.next() {
		switch m.field {
		case 1:
			p.Target = m.text
		case 2:
			p.Convention = m.text
		case 3:
			p.Why = m.text
		case 4:
			p.Uncached = int(m.int)
		case 5:
			p.Policy = m.text
		case 6:
			p.Among = int(m.int)
		case 7:
			p.Choice = append(p.Choice, Choice{})
			m.bad = m.bad || !decodeChoice(&p.Choice[len(p.Choice)-1], m.text)
		}
	}
	return !m.bad
}
