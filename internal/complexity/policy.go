package complexity

import "fmt"

// Choice is one of the two models; empty means neither.
type Choice string

const (
	Weak   Choice = "weak"
	Strong Choice = "strong"
)

// Reason says why a choice was made.
type Reason string

const (
	BecauseNoText      Reason = "no_text"      // there is nothing to look at
	BecauseHeld        Reason = "held"         // the strong model has the conversation, and its cache
	BecauseNoEmbedding Reason = "no_embedding" // the trained model wants one, and there is none
	BecauseCold        Reason = "cold"         // the guard has not seen enough to trust the scores
	BecauseDrift       Reason = "drift"        // the traffic is not like the training
	BecauseUnproven    Reason = "unproven"     // too few outcomes to promise the floor, or too bad ones
	BecauseFloor       Reason = "floor"        // the floor of quality wants the strong model, the threshold does not
	BecauseNeeded      Reason = "needed"       // the score is at or above the threshold
	BecauseEasy        Reason = "easy"         // the weak model will do
)

// Facts are what is decided by.
type Facts struct {
	Score Score
	// Blind says that there is no score: it wants an embedding that is not there.
	Blind bool
	// Threshold is the need at and above which the operator wants the strong model.
	Threshold float32
	Floor     Floor
	Sight     Sight
	// Held is who answered the conversation so far. A conversation that the strong
	// model has stays there: another one has none of its cache.
	Held Choice
}

// Floor is the promise to a customer, as a limit to the need.
type Floor struct {
	Share  float64 // of the weak model's answers that are no worse; 0 promises nothing
	Limit  float32 // the need below which the weak model may answer
	Proven bool    // whether the outcomes support any limit
}

// Decision is a choice with what it rests on.
type Decision struct {
	Choice Choice
	Why    Reason
	Scored bool // whether what follows is known
	Need   float32
	Limit  float32 // the need below which the weak model answers
	Risk   float32 // that the weak model's answer is worse
	Figure string  // for BecauseDrift: what is not as in the training
	PSI    float64 // and by how much
}

// String is the decision for a record.
func (d Decision) String() string {
	if !d.Scored {
		return fmt.Sprintf("%s: %s", d.Choice, d.Why)
	}
	text := fmt.Sprintf("%s: %s (need %.3f, limit %.3f, risk %.3f)", d.Choice, d.Why, d.Need, d.Limit, d.Risk)
	if d.Figure != "" {
		text += fmt.Sprintf(", %s %.2f", d.Figure, d.PSI)
	}
	return text
}

// Decide says which model answers. The weak one does if nothing speaks against
// it; what does is looked for in the order of the reasons above.
func Decide(f Facts) Decision {
	limit := f.Threshold
	if f.Floor.Share > 0 {
		limit = min(limit, f.Floor.Limit)
	}
	d := Decision{Choice: Strong, Scored: !f.Blind, Need: f.Score.Need, Limit: limit, Risk: f.Score.Risk}
	switch {
	case f.Held == Strong:
		d.Why = BecauseHeld
	case f.Blind:
		d.Why = BecauseNoEmbedding
	case f.Sight.Verdict == Cold:
		d.Why = BecauseCold
	case f.Sight.Verdict != Same:
		d.Why, d.Figure, d.PSI = BecauseDrift, f.Sight.Figure, f.Sight.PSI
	case f.Floor.Share > 0 && !f.Floor.Proven:
		d.Why = BecauseUnproven
	case f.Score.Need >= f.Threshold:
		d.Why = BecauseNeeded
	case f.Score.Need >= limit:
		d.Why = BecauseFloor
	default:
		d.Choice, d.Why = Weak, BecauseEasy
	}
	return d
}
