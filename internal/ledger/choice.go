package ledger

// Choice is one of the candidates that a policy chose among, as it stood then. The
// first of a list is the one that was asked first; those that were not asked stand
// last, with the reason.
//
// Times are predictions in microseconds. Cost is what candidates are ranked by, the
// least first; the policy auto makes it of the others, which it weighs. The cost of
// another policy has no unit and no parts, and is kept times a million.
type Choice struct {
	Target   string `json:"target"`
	Model    string `json:"model,omitempty"` // where those of the candidates differ; else it is that of the attempts
	Not      string `json:"not,omitempty"`   // why it was not asked, or not at once; the rest is zero, then
	InFlight int    `json:"in_flight"`
	Hit      int    `json:"hit"` // of the expected input, tokens that its cache is thought to hold

	Wait    int64 `json:"wait_us"`
	Prefill int64 `json:"prefill_us"`
	Delay   int64 `json:"delay_us"`
	Memory  int64 `json:"memory_us"`
	Adapter int64 `json:"adapter_us"` // to load the LoRA adapter
	Decode  int64 `json:"decode_us"`
	Risk    int64 `json:"risk_us"`
	Home    int64 `json:"home_us"` // taken off
	Cost    int64 `json:"cost_us"`
}

// MostChoices bounds the list of an exchange: a record does not grow with the
// fleet.
const MostChoices = 16

func appendChoice(b []byte, c *Choice) []byte {
	b = putText(b, 1, c.Target)
	b = putText(b, 2, c.Model)
	b = putText(b, 3, c.Not)
	b = putInt(b, 4, int64(c.InFlight))
	b = putInt(b, 5, int64(c.Hit))
	b = putInt(b, 6, c.Wait)
	b = putInt(b, 7, c.Prefill)
	b = putInt(b, 8, c.Delay)
	b = putInt(b, 9, c.Memory)
	b = putInt(b, 10, c.Decode)
	b = putInt(b, 11, c.Risk)
	b = putInt(b, 12, c.Home)
	b = putInt(b, 13, c.Cost)
	return putInt(b, 14, c.Adapter)
}

func decodeChoice(c *Choice, text string) bool {
	m := message{rest: text}
	for m.next() {
		switch m.field {
		case 1:
			c.Target = m.text
		case 2:
			c.Model = m.text
		case 3:
			c.Not = m.text
		case 4:
			c.InFlight = int(m.int)
		case 5:
			c.Hit = int(m.int)
		case 6:
			c.Wait = m.int
		case 7:
			c.Prefill = m.int
		case 8:
			c.Delay = m.int
		case 9:
			c.Memory = m.int
		case 10:
			c.Decode = m.int
		case 11:
			c.Risk = m.int
		case 12:
			c.Home = m.int
		case 13:
			c.Cost = m.int
		case 14:
			c.Adapter = m.int
		}
	}
	return !m.bad
}

// choice reads what the exchange's target was chosen among.
func (ex *Exchange) choice(m *message) {
	switch m.field {
	case 40:
		ex.Choice = append(ex.Choice, Choice{})
		m.bad = m.bad || !decodeChoice(&ex.Choice[len(ex.Choice)-1], m.text)
	case 41:
		ex.ExpectedInput = int(m.int)
	case 42:
		ex.ExpectedOutput = int(m.int)
	case 43:
		ex.Among = int(m.int)
	case 44:
		ex.Policy = m.text
	case 45:
		m.bad = m.bad || !decodePrefill(&ex.Prefill, m.text)
	case 46:
		m.bad = m.bad || !ex.takeSole(m.int != 0)
	}
}
