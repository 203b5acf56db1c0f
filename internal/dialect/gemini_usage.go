package dialect

import (
	"bytes"
	"slices"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Usage. promptTokenCount contains what came from the cache but not what the
// provider's tools read (toolUsePromptTokenCount), and candidatesTokenCount
// does not contain the thoughts: totalTokenCount is the sum of the four.

// geminiUsageNames are the figures of a usage object that llm.Usage has a place
// for, or that follow from others.
var geminiUsageNames = [...]string{
	"promptTokenCount", "candidatesTokenCount", "totalTokenCount", "cachedContentTokenCount",
	"thoughtsTokenCount", "toolUsePromptTokenCount",
	"promptTokensDetails", "toolUsePromptTokensDetails", "candidatesTokensDetails", "cacheTokensDetails",
	"serviceTier", "trafficType",
}

// geminiFigures is how many of the names are figures. Behind them is the service
// tier, which other dialects have no place for: that of the Gemini API, and
// Vertex' word for it.
const geminiFigures = len(geminiUsageNames) - 2

var geminiDetailNames = [...]string{"modality", "tokenCount"}

// geminiAudio is the number of the modality AUDIO in protobuf.
const geminiAudio = 4

// geminiUsage reads a usage object. It allocates nothing. ok is false when raw
// holds no figure: on Vertex every chunk has a usage that names the kind of
// traffic alone.
func geminiUsage(raw []byte) (u llm.Usage, ok bool) {
	var at [len(geminiUsageNames)]wire.Member
	if len(raw) == 0 || raw[0] != '{' {
		return u, false
	}
	if _, err := wire.Scan(raw, geminiUsageNames[:], at[:]); err != nil {
		return u, false
	}
	for _, m := range at[:6] {
		ok = ok || !m.IsZero()
	}
	if !ok {
		return u, false
	}
	u.Source = llm.UsageReported
	u.Reasoning = figure(raw, at[4])
	u.Input = figure(raw, at[0]) + figure(raw, at[5])
	u.Output = figure(raw, at[1]) + u.Reasoning
	u.CacheRead = min(figure(raw, at[3]), u.Input)
	u.InputAudio = min(geminiSound(raw, at[6])+geminiSound(raw, at[7]), u.Input)
	u.OutputAudio = min(geminiSound(raw, at[8]), u.Output)
	u.CacheReadAudio = min(geminiSound(raw, at[9]), u.CacheRead, u.InputAudio)
	for _, m := range at[geminiFigures:] {
		if u.Tier == "" && !m.IsZero() {
			u.Tier = tierWord(m.Value.Of(raw))
		}
	}
	return u, true
}

// geminiSound adds up the tokens of the modality AUDIO.
func geminiSound(raw []byte, m wire.Member) (n int64) {
	if m.IsZero() || raw[m.Value.Start] != '[' {
		return 0
	}
	var at [len(geminiDetailNames)]wire.Member
	for item := range wire.Elements(raw, m.Value) {
		at = [len(geminiDetailNames)]wire.Member{}
		if !nested(raw, wire.Member{Key: item, Value: item}, geminiDetailNames[:], at[:]) || at[0].IsZero() {
			continue
		}
		word := at[0].Value.Of(raw)
		if number, isInt := wire.Int(word); wire.StringEquals(word, "AUDIO") || isInt && number == geminiAudio {
			n += figure(raw, at[1])
		}
	}
	return n
}

// geminiUsageExtra keeps a usage object as it came and names what else it says.
func geminiUsageExtra(raw []byte) llm.Extra {
	extra := llm.Extra{Dialect: llm.Gemini, Spelled: bytes.Clone(raw)}
	o, err := openObject(raw, where{})
	if err != nil {
		return extra
	}
	for i := range o.members {
		if m := &o.members[i]; slices.Contains(geminiUsageNames[:geminiFigures], m.name()) || saysNothing(m.value) {
			m.use = useTaken
		}
	}
	o.keepDefaults([]defaultValue{{"trafficType", `"ON_DEMAND"`}, {"serviceTier", `"standard"`}})
	extra.Members = o.extra(llm.Gemini, 0).Members
	return extra
}

// geminiUsageJSON is the usage object as it came, while it still says what the
// figures say, or a new one.
func geminiUsageJSON(u *llm.Usage, extra llm.Extra, l *lossList) []byte {
	l.usage(extra, llm.Gemini)
	if u.CacheWrite != 0 || u.CacheWrite1h != 0 {
		l.add("usage.cache_write", geminiNoEquivalent)
	}
	if own := extra.In(llm.Gemini); own.Spelled != nil {
		if same, ok := geminiUsage(own.Spelled); ok && same == *u {
			return own.Spelled
		}
	}
	w := newObject(llm.Extra{})
	w.integer("promptTokenCount", u.Input)
	w.integer("candidatesTokenCount", max(u.Output-u.Reasoning, 0))
	w.integer("totalTokenCount", u.Input+max(u.Output, u.Reasoning))
	if u.CacheRead > 0 {
		w.integer("cachedContentTokenCount", u.CacheRead)
	}
	geminiDetails(w, "promptTokensDetails", u.Input, u.InputAudio)
	geminiDetails(w, "cacheTokensDetails", u.CacheRead, u.CacheReadAudio)
	geminiDetails(w, "candidatesTokensDetails", u.Output-u.Reasoning, u.OutputAudio)
	if u.Reasoning > 0 {
		w.integer("thoughtsTokenCount", u.Reasoning)
	}
	return w.end()
}

// geminiDetails tells sound from the rest, where there is any.
func geminiDetails(w *objectWriter, name string, all, sound int64) {
	if sound == 0 {
		return
	}
	w.list(name)
	for _, d := range [...]struct {
		word string
		n    int64
	}{{"TEXT", all - sound}, {"AUDIO", sound}} {
		if d.n > 0 {
			in := w.object(llm.Extra{})
			in.text("modality", d.word)
			in.integer("tokenCount", d.n)
			in.end()
		}
	}
	w.closeList()
}
