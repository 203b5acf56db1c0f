package dialect

import (
	"bytes"
	"slices"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// openAIUsage reads the usage object of OpenAI's chat, completions and
// embeddings, with the names that other providers use for the same figures:
//
//   - cached input: prompt_tokens_details.cached_tokens, prompt_cache_hit_tokens
//     (DeepSeek), cached_tokens (Moonshot), num_cached_tokens (Mistral),
//     cache_read_input_tokens (LiteLLM)
//   - cache writes: prompt_tokens_details.cache_write_tokens (OpenRouter),
//     cache_creation_tokens, cache_creation_input_tokens (LiteLLM)
//   - reasoning: completion_tokens_details.reasoning_tokens, reasoning_tokens
//     (Perplexity)
//
// Where total_tokens says that reasoning is not part of completion_tokens (xAI),
// it is added to the output, and audio that is not part of prompt_tokens
// (Mistral) to the input. Cached input above prompt_tokens cannot be part of it
// (xAI's models on Azure) and is added. A token is read from the cache or
// written to it, so the reads bound the writes. It allocates nothing. ok is false when raw is no
// object or names a figure twice.
func openAIUsage(raw []byte) (u llm.Usage, ok bool) {
	var at [len(usageNames)]wire.Member
	if _, err := wire.Scan(raw, usageNames[:], at[:]); err != nil {
		return u, false
	}
	u.Source = llm.UsageReported
	u.Input = figure(raw, at[0])
	u.Output = figure(raw, at[1])
	total := figure(raw, at[2])
	for _, m := range at[6:10] {
		u.CacheRead = max(u.CacheRead, figure(raw, m))
	}
	u.CacheWrite = figure(raw, at[10])
	u.Reasoning = figure(raw, at[11])
	promptDetails(&u, raw, at[3])
	promptDetails(&u, raw, at[5])
	completionDetails(&u, raw, at[4])
	if u.InputAudio > 0 && total == u.Input+u.Output+u.InputAudio {
		u.Input += u.InputAudio
	}
	if u.CacheRead > u.Input {
		u.Input += u.CacheRead
	}
	u.CacheWrite = min(u.CacheWrite, u.Input-u.CacheRead)
	if u.Reasoning > 0 && total == u.Input+u.Output+u.Reasoning {
		u.Output += u.Reasoning
	}
	return u, true
}

// usageNames are the figures of a usage object that llm.Usage has a place for,
// or that follow from others.
var usageNames = [...]string{
	"prompt_tokens", "completion_tokens", "total_tokens",
	"prompt_tokens_details", "completion_tokens_details", "prompt_token_details",
	"prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens",
	"cache_creation_input_tokens", "reasoning_tokens",
}

// usageExtra keeps a usage object as it came and names what else it says (the
// cost, the time in a queue), so that its loss can be declared. What is zero
// says nothing.
func usageExtra(raw []byte, d llm.Dialect) llm.Extra {
	extra := llm.Extra{Dialect: d, Spelled: bytes.Clone(raw)}
	o, err := openObject(raw, where{})
	if err != nil {
		return extra
	}
	for i := range o.members {
		m := &o.members[i]
		if slices.Contains(usageNames[:], m.name()) || m.is("prompt_cache_miss_tokens") || saysNothing(m.value) {
			m.use = useTaken
		}
	}
	extra.Members = o.extra(d, 0).Members
	return extra
}

func promptDetails(u *llm.Usage, raw []byte, m wire.Member) {
	names := [...]string{"cached_tokens", "audio_tokens", "cache_write_tokens", "cache_creation_tokens"}
	var at [len(names)]wire.Member
	if !nested(raw, m, names[:], at[:]) {
		return
	}
	u.CacheRead = max(u.CacheRead, figure(raw, at[0]))
	u.InputAudio = figure(raw, at[1])
	u.CacheWrite = max(u.CacheWrite, figure(raw, at[2]), figure(raw, at[3]))
}

func completionDetails(u *llm.Usage, raw []byte, m wire.Member) {
	names := [...]string{"reasoning_tokens", "audio_tokens"}
	var at [len(names)]wire.Member
	if !nested(raw, m, names[:], at[:]) {
		return
	}
	u.Reasoning = max(u.Reasoning, figure(raw, at[0]))
	u.OutputAudio = figure(raw, at[1])
}

// openAITier is the member by which OpenAI's dialects tell the tier beside a
// usage that came from one of them; nil when it has none.
func openAITier(ev *llm.Event) []byte {
	if d := ev.Extra.Dialect; ev.Usage.Tier == "" || d != llm.Chat && d != llm.Completions {
		return nil
	}
	return append(wire.AppendString([]byte(`{"service_tier":`), ev.Usage.Tier), '}')
}

// openAIPutUsage writes the usage of an answer in dialect d (chat or completions), if
// one was reported: as it came, while it still says what the figures say, or anew.
func openAIPutUsage(w *objectWriter, reply *llm.Reply, d llm.Dialect, l *lossList) {
	spelled := openAIUsageSpelled(reply, d, l)
	if spelled != nil || !reply.HasUsage {
		w.set("usage", spelled)
		return
	}
	w.drop("usage")
	w.key("usage")
	usage := w.object(llm.Extra{})
	usage.openAIFigures(&reply.Usage)
	usage.end()
}

// openAIUsageSpelled is the usage object as it came; nil when there is none or it
// does not say what the figures say.
func openAIUsageSpelled(reply *llm.Reply, d llm.Dialect, l *lossList) []byte {
	if !reply.HasUsage {
		return nil
	}
	var own llm.Extra
	switch reply.UsageExtra.Dialect {
	case llm.Chat, llm.Completions: // the same object
		own = reply.UsageExtra
	default:
		l.usage(reply.UsageExtra, d)
	}
	if reply.Usage.CacheWrite1h != 0 {
		l.add("usage.cache_creation", string(d)+" does not tell for how long the cache was written")
	}
	if own.Spelled != nil {
		u, ok := openAIUsage(own.Spelled)
		u.Tier = reply.Usage.Tier // stands beside the object
		if ok && u == reply.Usage {
			return own.Spelled
		}
	}
	return nil
}

// openAIFigures writes the members of a usage object.
func (w *objectWriter) openAIFigures(u *llm.Usage) {
	w.integer("prompt_tokens", u.Input)
	w.integer("completion_tokens", u.Output)
	w.integer("total_tokens", u.Total())
	if u.CacheRead != 0 || u.CacheWrite != 0 || u.InputAudio != 0 {
		d := w.sub("prompt_tokens_details")
		d.integer("cached_tokens", u.CacheRead)
		if u.CacheWrite != 0 {
			d.integer("cache_write_tokens", u.CacheWrite)
		}
		d.integer("audio_tokens", u.InputAudio)
		d.endSub()
	}
	if u.Reasoning != 0 || u.OutputAudio != 0 {
		d := w.sub("completion_tokens_details")
		d.integer("reasoning_tokens", u.Reasoning)
		d.integer("audio_tokens", u.OutputAudio)
		d.endSub()
	}
}
