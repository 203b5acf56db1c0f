package dialect

import (
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Usage. Bedrock reports disjoint figures, as Anthropic does: inputTokens counts
// neither what was read from the cache nor what was written to it (recorded
// totals are the sum of all four). The canonical Input is their sum.

// Forms of a usage (llm.Reply.UsageExtra.Form): which figures stood there.
const (
	converseUsageInput = 1 << iota
	converseUsageOutput
	converseUsageTotal
	converseUsageRead
	converseUsageWrite
)

// converseFigure is a figure of a usage object as the encoder writes it.
type converseFigure struct {
	name  string
	value int64
	form  uint32
}

func converseFigures(u llm.Usage) [5]converseFigure {
	return [...]converseFigure{
		{"inputTokens", max(u.Input-u.CacheRead-u.CacheWrite, 0), converseUsageInput},
		{"outputTokens", u.Output, converseUsageOutput},
		{"totalTokens", u.Total(), converseUsageTotal},
		{"cacheReadInputTokens", u.CacheRead, converseUsageRead},
		{"cacheWriteInputTokens", u.CacheWrite, converseUsageWrite},
	}
}

// The names that converseCount reads, in the order of its found.
var (
	converseUsageNames  = [...]string{"inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails"}
	converseDetailNames = [...]string{"ttl", "inputTokens"}
)

// converseCount reads the usage object at span at of body. It allocates nothing, so
// that the tap and the decoders count in one and the same way.
func converseCount(body []byte, at wire.Span) (u llm.Usage, ok bool) {
	var found [len(converseUsageNames)]wire.Member
	if body[at.Start] != '{' {
		return u, false
	}
	if _, err := wire.ScanAt(body, at, converseUsageNames[:], found[:]); err != nil {
		return u, false
	}
	var v [4]int64
	for i := range v {
		v[i], _ = tokenCount(found[i].Value.Of(body))
	}
	u = llm.Usage{Input: v[0] + v[2] + v[3], Output: v[1], CacheRead: v[2], CacheWrite: v[3], Source: llm.UsageReported}
	if m := found[4]; !m.IsZero() && body[m.Value.Start] == '[' {
		u.CacheWrite1h = min(converseLongWrites(m.Value.Of(body)), u.CacheWrite)
	}
	return u, true
}

// converseLongWrites sums the cache writes that live for an hour.
func converseLongWrites(list []byte) (n int64) {
	for w := walkInto(list); w.element(); {
		var found [len(converseDetailNames)]wire.Member
		if _, err := wire.Scan(w.value, converseDetailNames[:], found[:]); err != nil {
			continue
		}
		if v, ok := tokenCount(found[1].Value.Of(w.value)); ok && wire.StringEquals(found[0].Value.Of(w.value), "1h") {
			n = min(n+v, maxWhole)
		}
	}
	return n
}

// converseDecodeUsage reads the usage object of an answer; what it says beyond
// llm.Usage is in the Extra. Older names of the cache figures stand beside the
// newer ones, and the service tier beside the object.
func converseDecodeUsage(answer *object, raw []byte) (llm.Usage, llm.Extra) {
	o := answer.open(raw, answer.under("usage"))
	u, ok := converseCount(raw, wire.Span{End: len(raw)})
	if !ok {
		answer.wrong("usage", "is not a usage")
	}
	if tier := answer.peek("serviceTier"); tier != nil {
		u.Tier = converseTier(tier, wire.Member{Value: wire.Span{End: len(tier)}})
	}
	form := uint32(0)
	for _, f := range converseFigures(u) {
		if string(o.peek(f.name)) == strconv.FormatInt(f.value, 10) {
			o.take(f.name)
			form |= f.form
		}
	}
	for name, value := range map[string]int64{"cacheReadInputTokenCount": u.CacheRead, "cacheWriteInputTokenCount": u.CacheWrite} {
		if string(o.peek(name)) == strconv.FormatInt(value, 10) {
			o.keep(name)
		}
	}
	o.keep("cacheDetails")
	for i := range o.members {
		if m := &o.members[i]; m.use == useLeft && saysNothing(m.value) {
			m.use = useSpelled
		}
	}
	return u, converseExtra(o, form)
}

// conversePutUsage writes a usage object. One of another dialect has the three
// figures that Bedrock always gives, and the others where they are not zero.
func conversePutUsage(w *objectWriter, u llm.Usage, extra llm.Extra, l *lossList) {
	l.usage(extra, llm.Converse)
	if u.InputAudio > 0 || u.OutputAudio > 0 {
		l.add("usage.audio_tokens", converseNoEquivalent)
	}
	if u.Reasoning > 0 {
		l.add("usage.reasoning_tokens", converseNoEquivalent)
	}
	own := extra.In(llm.Converse)
	form := own.Form
	if extra.Dialect != llm.Converse {
		form = converseUsageInput | converseUsageOutput | converseUsageTotal
		if u.CacheRead > 0 || u.CacheWrite > 0 {
			form |= converseUsageRead | converseUsageWrite
		}
	}
	w.key("usage")
	in := w.object(own)
	for _, f := range converseFigures(u) {
		if form&f.form != 0 {
			in.integer(f.name, f.value)
		}
	}
	if extra.Dialect != llm.Converse && u.CacheWrite1h > 0 {
		in.list("cacheDetails")
		for _, d := range [...]converseFigure{{name: "5m", value: u.CacheWrite - u.CacheWrite1h}, {name: "1h", value: u.CacheWrite1h}} {
			item := in.object(llm.Extra{})
			item.text("ttl", d.name)
			item.integer("inputTokens", d.value)
			item.end()
		}
		in.closeList()
	}
	in.end()
}
