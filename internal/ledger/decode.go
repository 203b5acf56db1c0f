package ledger

import (
	"encoding/binary"
	"errors"
	"time"

	"tailplane/internal/llm"
)

// errRecord says that a payload is no record. The journal's checksum tells
// damage; this tells a bug in whoever wrote it.
var errRecord = errors.New("decode exchange record: it is none")

// errNoID says that a record does not tell which exchange it is of.
var errNoID = errors.New("decode exchange record: it has no id")

// decodeExchange reads a payload of either kind. Fields it does not know are
// passed over, so that a newer program's journal can still be read.
func decodeExchange(payload []byte) (*Exchange, error) {
	ex := new(Exchange)
	if err := decodeInto(ex, string(payload)); err != nil {
		return nil, err
	}
	return ex, nil
}

// decodeInto is decodeExchange into an exchange all of which it overwrites and
// whose attempts and choice it uses again. The texts of the result are parts of payload.
func decodeInto(ex *Exchange, payload string) error {
	into := ex.Attempts
	if into == nil {
		into = []Attempt{} // as JSON it is a list, even of none
	}
	*ex = Exchange{Attempts: into[:0], Choice: ex.Choice[:0]}
	m := message{rest: payload}
	for m.next() {
		ex.field(&m)
	}
	switch {
	case m.bad:
		return errRecord
	case ex.ID == "":
		return errNoID
	}
	return nil
}

func (ex *Exchange) field(m *message) {
	switch m.field {
	case 1:
		ex.ID = m.text
	case 2:
		ex.Start = time.Unix(0, m.int).UTC()
	case 3:
		ex.Config = m.text
	case 4:
		ex.TraceID = m.text
	case 5:
		ex.Key = m.text
	case 6:
		ex.Name = m.text
	case 7:
		ex.Customer = m.text
	case 8:
		ex.Client = m.text
	case 9:
		ex.Op = llm.Op(m.text)
	case 10:
		ex.Dialect = llm.Dialect(m.text)
	case 11:
		ex.Model = m.text
	case 12:
		ex.Stream = m.int != 0
	case 13:
		ex.Bytes = int(m.int)
	case 14:
		ex.MaxTokens = int(m.int)
	case 15:
		ex.Reason = m.text
	case 16:
		ex.Attempts = append(ex.Attempts, Attempt{})
		m.bad = m.bad || !decodeAttempt(&ex.Attempts[len(ex.Attempts)-1], m.text)
	case 17:
		ex.Losses = append(ex.Losses, llm.Loss{})
		m.bad = m.bad || !decodeLoss(&ex.Losses[len(ex.Losses)-1], m.text)
	default:
		ex.outcome(m)
	}
}

// outcome reads what a settled record has and an admission has not.
func (ex *Exchange) outcome(m *message) {
	switch m.field {
	case 18:
		ex.Outcome = Outcome(m.text)
	case 19:
		ex.Status = int(m.int)
	case 20:
		ex.Fault = llm.FaultKind(m.text)
	case 21:
		ex.Message = m.text
	case 22:
		ex.Admitted = time.Duration(m.int)
	case 23:
		ex.FirstToken = time.Duration(m.int)
	case 24:
		ex.Total = time.Duration(m.int)
	case 25:
		ex.Events = int(m.int)
	case 26:
		ex.ITLMax = time.Duration(m.int)
	case 27:
		ex.SentBytes = m.int
	case 28:
		m.bad = m.bad || !decodeUsage(&ex.Usage, m.text)
	case 29:
		ex.Cost = m.int
	case 30:
		ex.PriceStatus = Pricing(m.text)
	case 31:
		ex.PriceVersion = m.text
	default:
		ex.party(m)
	}
}

// party reads who the exchange is counted for.
func (ex *Exchange) party(m *message) {
	switch m.field {
	case 32:
		ex.Team = m.text
	case 33:
		ex.Organisation = m.text
	case 34:
		ex.Attributed = m.text
	case 35:
		ex.Tags = append(ex.Tags, m.text)
	case 36:
		ex.Session = m.text
	case 37:
		ex.Held = m.int
	case 39:
		ex.Queued = time.Duration(m.int)
	default:
		ex.choice(m)
	}
}

// takeSole reads that the exchange is sole; its attempt comes before that.
func (ex *Exchange) takeSole(sole bool) bool {
	if !sole {
		return true
	}
	if len(ex.Attempts) != 1 {
		return false
	}
	a := &ex.Attempts[0]
	ex.Usage, ex.Cost, ex.PriceStatus = a.Usage, a.Cost, a.Priced
	return true
}

func decodeAttempt(a *Attempt, text string) bool {
	m := message{rest: text}
	for m.next() {
		a.field(&m)
	}
	return !m.bad
}

func (a *Attempt) field(m *message) {
	switch m.field {
	case 1:
		a.Target = m.text
	case 2:
		a.Kind = m.text
	case 3:
		a.Model = m.text
	case 4:
		a.Dialect = llm.Dialect(m.text)
	case 5:
		a.Lane = m.text
	case 6:
		a.Why = m.text
	case 7:
		a.Waited = time.Duration(m.int)
	case 8:
		a.Begin = time.Duration(m.int)
	case 9:
		a.Reused = m.int != 0
	case 10:
		a.Connect = time.Duration(m.int)
	case 11:
		a.Head = time.Duration(m.int)
	case 12:
		a.FirstToken = time.Duration(m.int)
	case 13:
		a.Took = time.Duration(m.int)
	case 14:
		a.Status = int(m.int)
	default:
		a.outcome(m)
	}
}

func (a *Attempt) outcome(m *message) {
	switch m.field {
	case 15:
		a.Upstream = m.text
	case 16:
		a.Stop = llm.StopReason(m.text)
	case 17:
		a.Fault = llm.FaultKind(m.text)
	case 18:
		a.Phase = llm.Phase(m.text)
	case 19:
		a.Retry = llm.Retry(m.text)
	case 20:
		a.After = time.Duration(m.int)
	case 21:
		a.Code = m.text
	case 22:
		a.Message = m.text
	case 23:
		m.bad = m.bad || !decodeUsage(&a.Usage, m.text)
	case 24:
		a.Cost = m.int
	case 25:
		a.Priced = Pricing(m.text)
	case 26:
		a.Spilled = m.int != 0
	}
}

func decodeLoss(l *llm.Loss, text string) bool {
	m := message{rest: text}
	for m.next() {
		switch m.field {
		case 1:
			l.Feature = m.text
		case 2:
			l.Detail = m.text
		}
	}
	return !m.bad
}

func decodeUsage(u *llm.Usage, text string) bool {
	m := message{rest: text}
	for m.next() {
		switch m.field {
		case 1:
			u.Input = m.int
		case 2:
			u.CacheRead = m.int
		case 3:
			u.CacheWrite = m.int
		case 4:
			u.CacheWrite1h = m.int
		case 5:
			u.InputAudio = m.int
		case 6:
			u.Output = m.int
		case 7:
			u.Reasoning = m.int
		case 8:
			u.OutputAudio = m.int
		case 9:
			u.Source = llm.UsageSource(m.text)
		case 10:
			u.CacheReadAudio = m.int
		case 11:
			u.Images = m.int
		case 12:
			u.AudioMillis = m.int
		case 13:
			u.Characters = m.int
		case 14:
			u.SearchUnits = m.int
		case 15:
			u.Tier = m.text
		case 16:
			u.CapacityNanos = m.int
		}
	}
	return !m.bad
}

// payloadID returns the id of a payload without decoding the rest.
func payloadID(payload []byte) (string, error) {
	if len(payload) > 2 && payload[0] == 1<<3|wireBytes && payload[1] < 0x80 { // as the encoder writes what the gateway makes
		if id := payload[2:min(2+int(payload[1]), len(payload))]; len(id) > 0 && len(id) == int(payload[1]) {
			return string(id), nil
		}
	}
	return recordID(string(payload))
}

// recordID is payloadID of a text, of which the id is a part.
func recordID(record string) (string, error) {
	m := message{rest: record}
	if m.next() && m.field == 1 && m.text != "" {
		return m.text, nil
	}
	var ex Exchange // the id may not be first
	err := decodeInto(&ex, record)
	return ex.ID, err
}

// message is what is left of a message. next takes a field from it, until there
// is none or one is not whole, which bad says from then on.
type message struct {
	rest string
	bad  bool

	field uint64
	int   int64  // of a varint or fixed field; else zero
	text  string // of a field with a length; else empty
}

func (m *message) next() bool {
	if m.bad || m.rest == "" {
		return false
	}
	tag := m.uvarint()
	m.field, m.int, m.text = tag>>3, 0, ""
	switch tag & 7 {
	case wireVarint:
		m.int = int64(m.uvarint())
	case wireBytes:
		m.text = m.take(m.uvarint())
	case wireFixed:
		if raw := m.take(8); len(raw) == 8 {
			m.int = int64(binary.LittleEndian.Uint64([]byte(raw)))
		}
	default:
		m.bad = true
	}
	m.bad = m.bad || m.field == 0
	return !m.bad
}

func (m *message) take(n uint64) string {
	if n > uint64(len(m.rest)) {
		m.bad, m.rest = true, ""
		return ""
	}
	taken := m.rest[:n]
	m.rest = m.rest[n:]
	return taken
}

// uvarint takes a number of up to 64 bits.
func (m *message) uvarint() uint64 {
	n := uint64(0)
	for i := 0; i < len(m.rest) && i < binary.MaxVarintLen64; i++ {
		c := m.rest[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			m.rest = m.rest[i+1:]
			return n
		}
	}
	m.bad, m.rest = true, ""
	return 0
}
