package gateway

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/wire"
)

// What operations of the forward lane have used, each in the unit in which its
// providers charge. A figure of the provider is reported; what follows from the
// request alone (the characters that were spoken) is exact, too; what is guessed
// from sizes is estimated.

// passed is the usage of an attempt of the forward lane.
func (c *call) passed(f *llm.Fault) llm.Usage {
	if !c.tap.HasUsage {
		return llm.Usage{Source: llm.UsageNone}
	}
	u := c.tap.Usage
	switch {
	case u.Source == llm.UsageEstimated:
	case f == nil:
		u.Source = llm.UsageReported
	default:
		u.Source = llm.UsageTapped
	}
	return u
}

// took notes what the attempt has used.
func (c *call) took(u llm.Usage) { c.tap.Usage, c.tap.HasUsage = u, true }

// scanReply finds members of the answer.
func (c *call) scanReply(names []string, found []wire.Member) bool {
	_, err := wire.Scan(c.reply, names, found)
	return err == nil
}

// mediaUsage reads the usage object of audio, images, rerankers and realtime:
// tokens by kind, or seconds.
//
//	{"input_tokens": 1, "input_tokens_details": {"audio_tokens": 1, "cached_tokens": 0}, "output_tokens": 1}
//	{"type": "duration", "seconds": 9}
//	{"total_tokens": 12}
//
// The details are called input_token_details in some and input_tokens_details in
// others. ok is false when it says nothing.
func mediaUsage(body []byte, at wire.Span) (u llm.Usage, ok bool) {
	names := [...]string{
		"input_tokens", "output_tokens", "total_tokens", "seconds", "prompt_tokens", "completion_tokens",
		"input_token_details", "input_tokens_details", "output_token_details", "output_tokens_details",
	}
	var found [len(names)]wire.Member
	if _, err := wire.ScanAt(body, at, names[:], found[:]); err != nil {
		return u, false
	}
	n := func(i int) int64 { return count(body, found[i]) }
	u.Input, u.Output = max(n(0), n(4)), max(n(1), n(5))
	if total := n(2); u.Input+u.Output < total {
		u.Input = total - u.Output
	}
	u.AudioMillis = seconds(body, found[3])
	for _, m := range found[6:8] {
		u.InputAudio = max(u.InputAudio, nestedCount(body, m, "audio_tokens"))
		u.CacheRead = max(u.CacheRead, nestedCount(body, m, "cached_tokens"))
	}
	for _, m := range found[8:10] {
		u.OutputAudio = max(u.OutputAudio, nestedCount(body, m, "audio_tokens"))
		u.Reasoning = max(u.Reasoning, nestedCount(body, m, "reasoning_tokens"))
	}
	u.InputAudio, u.CacheRead = min(u.InputAudio, u.Input), min(u.CacheRead, u.Input)
	return u, u != llm.Usage{}
}

// count reads a figure that cannot be negative; anything else counts as 0.
func count(body []byte, m wire.Member) int64 {
	if m.IsZero() {
		return 0
	}
	n, ok := wire.Int(m.Value.Of(body))
	if !ok || n < 0 || n > math.MaxInt32 {
		return 0
	}
	return n
}

func nestedCount(body []byte, m wire.Member, name string) int64 {
	var found [1]wire.Member
	if m.IsZero() || body[m.Value.Start] != '{' {
		return 0
	}
	if _, err := wire.ScanAt(body, m.Value, []string{name}, found[:]); err != nil {
		return 0
	}
	return count(body, found[0])
}

// seconds reads a duration, rounded up to a millisecond.
func seconds(body []byte, m wire.Member) int64 {
	if m.IsZero() {
		return 0
	}
	s, err := strconv.ParseFloat(string(m.Value.Of(body)), 64)
	if err != nil || !(s > 0 && s < 1e9) {
		return 0
	}
	return int64(math.Ceil(s * 1000))
}

// meterRerank reads search units (Cohere: meta.billed_units.search_units), or
// tokens (vLLM, Jina, Voyage: usage.total_tokens).
func meterRerank(c *call) {
	var found [2]wire.Member
	var u llm.Usage
	if c.scanReply([]string{"usage", "meta"}, found[:]) && !found[0].IsZero() {
		u, _ = mediaUsage(c.reply, found[0].Value)
	}
	var billed [1]wire.Member
	if m := found[1]; !m.IsZero() && c.reply[m.Value.Start] == '{' {
		if _, err := wire.ScanAt(c.reply, m.Value, []string{"billed_units"}, billed[:]); err == nil {
			u.SearchUnits = nestedCount(c.reply, billed[0], "search_units")
		}
	}
	if u == (llm.Usage{}) {
		u = llm.Usage{Input: meter.EstimateTokens(len(c.body)), Source: llm.UsageEstimated}
	}
	c.took(u)
}

// meterText estimates the tokens of an operation whose answer says nothing that
// is understood here; Gemini's embeddings may say it in usageMetadata.
func meterText(c *call) {
	var found [1]wire.Member
	if len(c.reply) > 0 && c.scanReply([]string{"usageMetadata"}, found[:]) {
		if n := nestedCount(c.reply, found[0], "promptTokenCount"); n > 0 {
			c.took(llm.Usage{Input: n})
			return
		}
	}
	c.took(llm.Usage{Input: meter.EstimateTokens(len(c.body)), Source: llm.UsageEstimated})
}

// frameBytes is about what Bedrock's frame around one token takes: the frame's
// own head and the token's JSON in base64.
const frameBytes = 300

// meterInvoke reads the tokens that Bedrock counts in its header. A stream has
// none there, so those are estimated.
func meterInvoke(c *call) {
	header := func(name string) (n int64) {
		n, _ = strconv.ParseInt(c.answered.Get("x-amzn-bedrock-"+name+"-token-count"), 10, 32)
		return max(n, 0)
	}
	u := llm.Usage{Input: header("input"), CacheRead: header("cache-read-input"), CacheWrite: header("cache-write-input"), Output: header("output")}
	u.Input += u.CacheRead + u.CacheWrite
	if u == (llm.Usage{}) {
		u = llm.Usage{Input: meter.EstimateTokens(len(c.body)), Output: meter.EstimateTokens(len(c.reply)), Source: llm.UsageEstimated}
		if len(c.reply) == 0 {
			u.Output = (c.ex.SentBytes + frameBytes - 1) / frameBytes
		}
	}
	c.took(u)
}

// meterSpoken counts the characters that were to be spoken. Models that charge
// tokens say so only in a stream of events.
func meterSpoken(c *call) {
	var found [1]wire.Member
	if _, err := wire.Scan(c.body, []string{"input"}, found[:]); err != nil {
		return
	}
	if text, ok := wire.String(found[0].Value.Of(c.body)); ok {
		c.took(llm.Usage{Characters: int64(utf8.RuneCountInString(text))})
	}
}

// meterImages counts the images of the answer, and takes its tokens where the
// model charges those.
func meterImages(c *call) {
	var found [2]wire.Member
	if len(c.reply) == 0 || !c.scanReply([]string{"usage", "data"}, found[:]) {
		return
	}
	var u llm.Usage
	if !found[0].IsZero() {
		u, _ = mediaUsage(c.reply, found[0].Value)
	}
	if !found[1].IsZero() {
		for range wire.Elements(c.reply, found[1].Value) {
			u.Images++
		}
	}
	c.took(u)
}

// meterHeard reads how much sound was heard: as the answer's usage says, as its
// duration says, or else as the file's size lets one guess.
func meterHeard(c *call) {
	var found [2]wire.Member
	if len(c.reply) > 0 && c.reply[0] == '{' && c.scanReply([]string{"usage", "duration"}, found[:]) {
		var u llm.Usage
		if !found[0].IsZero() {
			u, _ = mediaUsage(c.reply, found[0].Value)
		}
		if u.AudioMillis == 0 {
			u.AudioMillis = seconds(c.reply, found[1])
		}
		if u != (llm.Usage{}) {
			c.took(u)
			return
		}
	}
	var file [1]wire.Field
	if _, err := wire.Form(c.body, c.named.bound, []string{"file"}, file[:]); err == nil && !file[0].IsZero() {
		c.took(llm.Usage{AudioMillis: soundMillis(file[0].Value.Of(c.body)), Source: llm.UsageEstimated})
	}
}

// soundMillis guesses the length of a sound file: a WAV file says its rate,
// anything else is taken for the usual 128 kilobits each second.
func soundMillis(file []byte) int64 {
	rate := int64(128_000 / 8)
	if len(file) > 44 && string(file[:4]) == "RIFF" && string(file[8:16]) == "WAVEfmt " {
		if r := int64(binary.LittleEndian.Uint32(file[28:])); r > 0 {
			rate = r
		}
	}
	return (int64(len(file))*1000 + rate - 1) / rate
}

func sortSpans(list []wire.Span) {
	slices.SortFunc(list, func(a, b wire.Span) int { return a.Start - b.Start })
}
