package ledger

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"tailplane/internal/llm"
)

// parseInto reads a full record as the encoder writes it: the same members in
// the same order, without space. It says false for anything else, however
// valid; encoding/json then has the word. Draining reads every record, and this
// way costs a tenth. Its lines mirror those of encode.go. It overwrites all of
// ex and puts the attempts where the old ones were.
func parseInto(ex *Exchange, record string) bool {
	if !utf8.ValidString(record) {
		return false
	}
	p := parser{rest: record, ok: true}
	into := ex.Attempts
	*ex = Exchange{}
	p.str(`{"id":`, &ex.ID)
	p.time(`,"start":`, &ex.Start)
	p.optStr(`,"config":`, &ex.Config)
	p.optStr(`,"trace_id":`, &ex.TraceID)
	p.optStr(`,"key":`, &ex.Key)
	p.optStr(`,"name":`, &ex.Name)
	p.optStr(`,"customer":`, &ex.Customer)
	p.optStr(`,"client":`, &ex.Client)
	p.str(`,"op":`, (*string)(&ex.Op))
	p.str(`,"dialect":`, (*string)(&ex.Dialect))
	p.str(`,"model":`, &ex.Model)
	p.optTrue(`,"stream":`, &ex.Stream)
	ex.Bytes = int(p.int(`,"bytes":`))
	ex.MaxTokens = int(p.optInt(`,"max_tokens":`))
	p.optStr(`,"reason":`, &ex.Reason)
	ex.Attempts = p.attempts(into)
	ex.Losses = p.losses()
	p.str(`,"outcome":`, (*string)(&ex.Outcome))
	ex.Status = int(p.int(`,"status":`))
	p.optStr(`,"fault":`, (*string)(&ex.Fault))
	p.optStr(`,"message":`, &ex.Message)
	ex.Admitted = time.Duration(p.int(`,"admitted_ns":`))
	ex.FirstToken = time.Duration(p.optInt(`,"first_token_ns":`))
	ex.Total = time.Duration(p.int(`,"total_ns":`))
	ex.Events = int(p.optInt(`,"events":`))
	ex.ITLMax = time.Duration(p.optInt(`,"itl_max_ns":`))
	ex.SentBytes = p.int(`,"sent_bytes":`)
	p.usage(`,"usage":{"input":`, &ex.Usage)
	ex.Cost = p.int(`,"cost_nano":`)
	p.str(`,"pricing":`, (*string)(&ex.PriceStatus))
	p.optStr(`,"price_version":`, &ex.PriceVersion)
	p.expect("}")
	return p.ok && p.rest == ""
}

func (p *parser) attempts(into []Attempt) []Attempt {
	if p.has(`,"attempts":null`) {
		return nil
	}
	p.expect(`,"attempts":[`)
	out := into[:0]
	if out == nil {
		out = make([]Attempt, 0, strings.Count(p.rest, `{"target":`))
	}
	for p.ok && !p.has("]") {
		if len(out) > 0 {
			p.expect(",")
		}
		out = append(out, Attempt{})
		p.attempt(&out[len(out)-1])
	}
	return out
}

func (p *parser) attempt(a *Attempt) {
	p.str(`{"target":`, &a.Target)
	p.str(`,"kind":`, &a.Kind)
	p.str(`,"model":`, &a.Model)
	p.str(`,"dialect":`, (*string)(&a.Dialect))
	p.str(`,"lane":`, &a.Lane)
	p.str(`,"why":`, &a.Why)
	a.Waited = time.Duration(p.optInt(`,"waited_ns":`))
	a.Begin = time.Duration(p.int(`,"begin_ns":`))
	p.optTrue(`,"reused":`, &a.Reused)
	a.Connect = time.Duration(p.optInt(`,"connect_ns":`))
	a.Head = time.Duration(p.optInt(`,"head_ns":`))
	a.FirstToken = time.Duration(p.optInt(`,"first_token_ns":`))
	a.Took = time.Duration(p.int(`,"took_ns":`))
	a.Status = int(p.optInt(`,"status":`))
	p.optStr(`,"upstream_id":`, &a.Upstream)
	p.optStr(`,"stop":`, (*string)(&a.Stop))
	p.optStr(`,"fault":`, (*string)(&a.Fault))
	p.optStr(`,"phase":`, (*string)(&a.Phase))
	p.optStr(`,"retry":`, (*string)(&a.Retry))
	a.After = time.Duration(p.optInt(`,"after_ns":`))
	p.optStr(`,"code":`, &a.Code)
	p.optStr(`,"message":`, &a.Message)
	p.usage(`,"usage":{"input":`, &a.Usage)
	a.Cost = p.int(`,"cost_nano":`)
	p.optStr(`,"pricing":`, (*string)(&a.Priced))
	p.expect("}")
}

func (p *parser) losses() []llm.Loss {
	if !p.has(`,"losses":[`) {
		return nil
	}
	out := []llm.Loss{}
	for p.ok && !p.has("]") {
		if len(out) > 0 {
			p.expect(",")
		}
		var l llm.Loss
		p.str(`{"feature":`, &l.Feature)
		p.optStr(`,"detail":`, &l.Detail)
		p.expect("}")
		out = append(out, l)
	}
	return out
}

func (p *parser) usage(key string, u *llm.Usage) {
	u.Input = p.int(key)
	u.CacheRead = p.optInt(`,"cache_read":`)
	u.CacheReadAudio = p.optInt(`,"cache_read_audio":`)
	u.CacheWrite = p.optInt(`,"cache_write":`)
	u.CacheWrite1h = p.optInt(`,"cache_write_1h":`)
	u.InputAudio = p.optInt(`,"input_audio":`)
	u.Output = p.int(`,"output":`)
	u.Reasoning = p.optInt(`,"reasoning":`)
	u.OutputAudio = p.optInt(`,"output_audio":`)
	u.Images = p.optInt(`,"images":`)
	u.AudioMillis = p.optInt(`,"audio_millis":`)
	u.Characters = p.optInt(`,"characters":`)
	u.SearchUnits = p.optInt(`,"search_units":`)
	p.optStr(`,"tier":`, &u.Tier)
	p.optStr(`,"source":`, (*string)(&u.Source))
	p.expect("}")
}

// parser is what is left of a record; ok is false from the first thing on that
// is not as the encoder writes it.
type parser struct {
	rest string
	ok   bool
}

func (p *parser) has(prefix string) bool {
	var found bool
	p.rest, found = strings.CutPrefix(p.rest, prefix)
	return found
}

func (p *parser) expect(prefix string) {
	if !p.has(prefix) {
		p.ok = false
	}
}

func (p *parser) str(key string, to *string) {
	p.expect(key)
	p.value(to)
}

func (p *parser) optStr(key string, to *string) {
	if p.has(key) {
		p.value(to)
	}
}

// value reads a string. One with an escape is left to encoding/json.
func (p *parser) value(to *string) {
	if !p.has(`"`) {
		p.ok = false
		return
	}
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			*to, p.rest = p.rest[:i], p.rest[i+1:]
			return
		case c == '\\':
			p.escaped(to, i)
			return
		case c < ' ':
			p.ok = false
			return
		}
	}
	p.ok = false
}

// escaped reads a string whose first escape is at i.
func (p *parser) escaped(to *string, i int) {
	for ; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			i++
		case '"':
			if json.Unmarshal([]byte(`"`+p.rest[:i+1]), to) != nil {
				p.ok = false
			}
			p.rest = p.rest[i+1:]
			return
		}
	}
	p.ok = false
}

func (p *parser) time(key string, to *time.Time) {
	var s string
	p.str(key, &s)
	if to.UnmarshalText([]byte(s)) != nil {
		p.ok = false
	}
}

func (p *parser) optTrue(key string, to *bool) {
	if p.has(key) {
		p.expect("true")
		*to = true
	}
}

func (p *parser) optInt(key string) int64 {
	if !p.has(key) {
		return 0
	}
	return p.number()
}

func (p *parser) int(key string) int64 {
	p.expect(key)
	return p.number()
}

// number reads an integer of up to 18 digits, and leaves the rest of them, and
// fractions, to encoding/json.
func (p *parser) number() int64 {
	s, negative := strings.CutPrefix(p.rest, "-")
	n, i := int64(0), 0
	for i < len(s) && i < 19 && '0' <= s[i] && s[i] <= '9' {
		n = 10*n + int64(s[i]-'0')
		i++
	}
	if i == 0 || i == 19 || s[0] == '0' && i > 1 {
		p.ok = false
	}
	p.rest = s[i:]
	if negative {
		return -n
	}
	return n
}
