package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Usage. Anthropic reports disjoint figures: input_tokens counts neither what
// was read from the cache nor what was written to it. The canonical Input is
// their sum. Reasoning is output_tokens_details.thinking_tokens, which models
// since 2026 report.

// Forms of a usage (llm.Reply.UsageExtra.Form): which members were there.
const (
	anthropicUsageWrite    = 1 << iota // cache_creation_input_tokens
	anthropicUsageRead                 // cache_read_input_tokens
	anthropicUsageSplit                // cache_creation with both lifetimes
	anthropicUsageThinking             // output_tokens_details.thinking_tokens
	anthropicUsageNoInput              // no input_tokens
	anthropicUsageNoOutput             // no output_tokens
)

// anthropicCounts are the figures as the wire has them.
type anthropicCounts struct {
	input, write, read, write1h, output, thinking int64
	tier                                          string
}

func (n anthropicCounts) usage() llm.Usage {
	return llm.Usage{
		Input:        n.input + n.write + n.read,
		CacheRead:    n.read,
		CacheWrite:   n.write,
		CacheWrite1h: n.write1h,
		Output:       n.output,
		Reasoning:    n.thinking,
		Tier:         n.tier,
		Source:       llm.UsageReported,
	}
}

// anthropicCountsOf undoes usage.
func anthropicCountsOf(u llm.Usage) anthropicCounts {
	return anthropicCounts{
		input: u.Input - u.CacheRead - u.CacheWrite,
		write: u.CacheWrite, read: u.CacheRead, write1h: u.CacheWrite1h,
		output: u.Output, thinking: u.Reasoning, tier: u.Tier,
	}
}

// The names that count reads, in the order of its found.
var (
	anthropicUsageNames    = [...]string{"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens", "cache_creation", "output_tokens_details", "service_tier"}
	anthropicSplitNames    = [...]string{"ephemeral_1h_input_tokens"}
	anthropicThinkingNames = [...]string{"thinking_tokens"}
)

// anthropicUsageForms are what a figure changes in the form of a usage that has it, in
// the order of anthropicUsageNames.
var anthropicUsageForms = [...]uint32{anthropicUsageNoInput, anthropicUsageWrite, anthropicUsageRead, anthropicUsageNoOutput}

// count takes the figures of the usage object at span at of body over those
// that n has: a stream's later figures are cumulative and replace earlier
// ones. A later object that reports no input at all (some servers send zeros
// there) leaves the input as it was. It allocates nothing, so that the tap and
// the decoders count in one and the same way.
func (n *anthropicCounts) count(body []byte, at wire.Span) bool {
	var found [len(anthropicUsageNames)]wire.Member
	if _, err := wire.ScanAt(body, at, anthropicUsageNames[:], found[:]); err != nil {
		return false
	}
	var raw [len(anthropicUsageNames)][]byte
	for i := range raw {
		raw[i] = found[i].Value.Of(body)
	}
	n.take(&raw)
	return true
}

// take is count for the values of anthropicUsageNames, nil for those that are absent.
func (n *anthropicCounts) take(raw *[len(anthropicUsageNames)][]byte) {
	var v [4]int64
	var has [4]bool
	for i := range v {
		v[i], has[i] = tokenCount(raw[i])
	}
	if v[0]+v[1]+v[2] > 0 || n.input+n.write+n.read == 0 {
		for i, into := range []*int64{&n.input, &n.write, &n.read} {
			if has[i] {
				*into = v[i]
			}
		}
	}
	if has[3] {
		n.output = v[3]
	}
	if tier := tierWord(raw[6]); tier != "" {
		n.tier = tier
	}
	anthropicNested(raw[4], anthropicSplitNames[:], &n.write1h)
	anthropicNested(raw[5], anthropicThinkingNames[:], &n.thinking)
	n.write1h = min(n.write1h, n.write)
}

func anthropicNested(raw []byte, names []string, into *int64) {
	var found [1]wire.Member
	if len(raw) == 0 || raw[0] != '{' {
		return
	}
	if _, err := wire.Scan(raw, names, found[:]); err != nil {
		return
	}
	if v, ok := tokenCount(found[0].Value.Of(raw)); ok {
		*into = v
	}
}

// anthropicDecodeUsage reads a usage object. What it says beyond llm.Usage is in the
// Extra.
func anthropicDecodeUsage(o *object) (llm.Usage, llm.Extra) {
	form := uint32(anthropicUsageNoInput | anthropicUsageNoOutput)
	var n anthropicCounts
	var values [len(anthropicUsageNames)][]byte
	for i, name := range anthropicUsageNames {
		values[i] = o.peek(name)
		if i < len(anthropicUsageForms) && o.figure(name) {
			form ^= anthropicUsageForms[i]
		}
	}
	n.take(&values)
	if anthropicExactly(o, "cache_creation", []anthropicFigureOf{
		{"ephemeral_5m_input_tokens", n.write - n.write1h}, {"ephemeral_1h_input_tokens", n.write1h},
	}) {
		form |= anthropicUsageSplit
	}
	if anthropicExactly(o, "output_tokens_details", []anthropicFigureOf{{"thinking_tokens", n.thinking}}) {
		form |= anthropicUsageThinking
	}
	for i := range o.members {
		if m := &o.members[i]; m.use == useLeft && saysNothing(m.value) {
			m.use = useSpelled
		}
	}
	return n.usage(), anthropicExtra(o, form)
}

type anthropicFigureOf struct {
	name string
	want int64
}

// anthropicExactly takes the object name when it holds just the wanted figures, as
// the encoder would write them.
func anthropicExactly(o *object, name string, figures []anthropicFigureOf) bool {
	raw := o.get(name)
	if raw == nil {
		return false
	}
	in := o.open(raw, o.under(name))
	for _, f := range figures {
		v := in.integer(f.name)
		if v == nil || *v != f.want {
			return false
		}
	}
	for i := range in.members {
		if in.members[i].use != useTaken {
			return false
		}
	}
	o.take(name)
	return true
}

// anthropicPutUsage writes a usage object. One of another dialect has the four
// figures that Anthropic always gives, and the others where they are not zero.
func anthropicPutUsage(w *objectWriter, u llm.Usage, extra llm.Extra, l *lossList) {
	l.usage(extra, llm.Anthropic)
	if u.InputAudio > 0 || u.OutputAudio > 0 {
		l.add("usage.audio_tokens", anthropicNoEquivalent)
	}
	own := extra.In(llm.Anthropic)
	form := own.Form
	if extra.Dialect != llm.Anthropic {
		form = anthropicUsageWrite | anthropicUsageRead
		if u.CacheWrite1h > 0 {
			form |= anthropicUsageSplit
		}
		if u.Reasoning > 0 {
			form |= anthropicUsageThinking
		}
	}
	w.key("usage")
	in := w.object(own)
	if form&anthropicUsageNoInput == 0 {
		in.integer("input_tokens", max(u.Input-u.CacheRead-u.CacheWrite, 0))
	}
	if form&anthropicUsageWrite != 0 {
		in.integer("cache_creation_input_tokens", u.CacheWrite)
	}
	if form&anthropicUsageRead != 0 {
		in.integer("cache_read_input_tokens", u.CacheRead)
	}
	if form&anthropicUsageSplit != 0 {
		split := in.sub("cache_creation")
		split.integer("ephemeral_5m_input_tokens", max(u.CacheWrite-u.CacheWrite1h, 0))
		split.integer("ephemeral_1h_input_tokens", u.CacheWrite1h)
		split.endSub()
	}
	if form&anthropicUsageNoOutput == 0 {
		in.integer("output_tokens", u.Output)
	}
	if form&anthropicUsageThinking != 0 {
		details := in.sub("output_tokens_details")
		details.integer("thinking_tokens", u.Reasoning)
		details.endSub()
	}
	in.end()
}
