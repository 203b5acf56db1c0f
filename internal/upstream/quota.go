package upstream

import (
	"strings"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// Told is what an upstream tells in the head of an answer beside the answer:
// what is left of its limits, what it counted, who answered. The zero Told is
// one that tells nothing.
//
// The names say what is meant, so one reader serves every provider, and a
// compatible server that passes on another's headers, too:
//
//	x-ratelimit-{limit,remaining,reset}-{requests,tokens,...}          OpenAI, Groq: reset 6m0s, 17.39s; xAI: none
//	    with x-ratelimit-renewalperiod-{requests,tokens}               Azure: seconds; its reset has no fixed unit
//	x-ratelimit-{limit,remaining}-{req-minute,tokens-minute,...}       Mistral: no reset
//	x-ratelimit-{limit,remaining,reset}                                Together: seconds; OpenRouter: epoch milliseconds
//	anthropic-ratelimit-{requests,tokens,...}-{limit,remaining,reset}  reset RFC 3339
//	x-trial-endpoint-call-{limit,remaining}, num-tokens                Cohere
//	x-amzn-bedrock-{input,output,...}-token-count                      Bedrock: counts, no limits
//
// Source: the recorded headers of these providers, August 2026.
type Told struct {
	Quota   llm.Quota
	Limited bool // Quota holds something
	// Usage is what the provider counted, where it says so in headers.
	Usage   llm.Usage
	Counted bool // Usage holds something
	// Spilled: Azure served it from a standard deployment, because the
	// provisioned one was full.
	Spilled bool

	period [llm.Resources]time.Duration // Azure's, to finish with
}

// Reset forgets the last answer.
func (t *Told) Reset() {
	if t.Limited || t.Counted || t.Spilled {
		*t = Told{}
	}
}

// Read reads the head of an answer. It allocates nothing.
func (t *Told) Read(h *h1.Header, now time.Time) {
	t.Reset()
	for name, value := range h.All() {
		t.field(name, value, now)
	}
	if t.Limited {
		t.finish(now)
	}
}

// field reads one field; most are told apart by their first letter.
func (t *Told) field(name, value string, now time.Time) {
	if len(name) < len("num-tokens") {
		return
	}
	switch name[0] | 0x20 {
	case 'x':
		switch {
		case hasPrefix(name, openAIRate):
			t.openAI(name[len(openAIRate):], value, now)
		case hasPrefix(name, bedrockCount):
			t.count(name[len(bedrockCount):], value)
		case hasPrefix(name, cohereTrial):
			t.measure(llm.QuotaRequests, name[len(cohereTrial):], value, now)
		case same(name, azureSpilled):
			t.Spilled = same(value, "true")
		}
	case 'a':
		if hasPrefix(name, anthropicRate) {
			rest := name[len(anthropicRate):]
			if i := strings.LastIndexByte(rest, '-'); i > 0 {
				if u, ok := unitOf(rest[:i]); ok {
					t.measure(u.resource, rest[i+1:], value, now)
				}
			}
		}
	case 'n':
		if n, ok := number(value); ok && same(name, cohereTokens) {
			t.Usage.Input, t.Counted = n, true
		}
	}
}

const (
	bedrockCount = "x-amzn-bedrock-"
	cohereTrial  = "x-trial-endpoint-call-"
	cohereTokens = "num-tokens"
	azureSpilled = "x-ms-is-spilled-over"
)

// openAI reads what follows x-ratelimit-: a measure, and for most providers the
// unit.
func (t *Told) openAI(rest, value string, now time.Time) {
	measure, name, _ := strings.Cut(rest, "-")
	u, ok := unitOf(name)
	if _, bare := number(value); !ok || bare && name != "" && same(measure, "reset") {
		return // Azure's reset is a number without a unit
	}
	t.measure(u.resource, measure, value, now)
	if u.window > 0 {
		t.Quota[u.resource].Reset = now.Add(u.window) // at the latest
	}
}

// unit is a provider's name of a resource, with the window over which it is
// counted where the name says so.
type unit struct {
	name     string
	resource llm.Resource
	window   time.Duration
}

var units = [...]unit{
	{"requests", llm.QuotaRequests, 0},
	{"tokens", llm.QuotaTokens, 0},
	{"input-tokens", llm.QuotaInputTokens, 0},
	{"output-tokens", llm.QuotaOutputTokens, 0},
	{"req-minute", llm.QuotaRequests, time.Minute},
	{"tokens-minute", llm.QuotaTokens, time.Minute},
	{"", llm.QuotaRequests, 0},
	{"input-images", llm.QuotaImages, 0},
	{"tokens_usage_based", llm.QuotaUsageTokens, 0},
	{"tokens-month", llm.QuotaMonthTokens, 0},
	{"req-10-second", llm.QuotaRequests, 10 * time.Second},
	{"ocr-pages-minute", llm.QuotaPages, time.Minute},
	{"audio-seconds-minute", llm.QuotaAudioSeconds, time.Minute},
	{"input-characters-minute", llm.QuotaCharacters, time.Minute},
}

func unitOf(name string) (unit, bool) {
	for i := range units {
		if same(name, units[i].name) {
			return units[i], true
		}
	}
	return unit{}, false
}

// measure reads one figure of one resource.
func (t *Told) measure(r llm.Resource, measure, value string, now time.Time) {
	a := &t.Quota[r]
	n, counts := number(value)
	switch {
	case counts && same(measure, "limit"):
		a.Limit = n
	case counts && same(measure, "remaining"):
		a.Remaining, a.Known = n, true
	case counts && same(measure, "renewalperiod"):
		t.period[r] = min(time.Duration(min(n, 1<<32))*time.Second, longestReset)
	case same(measure, "reset"):
		at, steady := resetTime(value, now)
		if at.IsZero() {
			return
		}
		a.Reset, a.Steady = at, steady
	default:
		return
	}
	a.Learned, t.Limited = now, true
}

// longestReset bounds what a wrong clock or a typo can claim; limits by the day
// are the longest that come with a reset.
const longestReset = 24 * time.Hour

// resetTime reads when a limit is whole again: a duration or a time of day, of
// the providers whose limits are token buckets (steady), or a bare number. That
// is seconds, or a moment in epoch seconds or milliseconds; the zero time is
// said of what is none of these.
func resetTime(value string, now time.Time) (at time.Time, steady bool) {
	if n, ok := number(value); ok {
		switch {
		case n >= 1e11:
			at = time.UnixMilli(n)
		case n >= 1e9:
			at = time.Unix(n, 0)
		default:
			at = now.Add(time.Duration(n) * time.Second)
		}
		return earlier(at, now.Add(longestReset)), false
	}
	if len(value) > 4 && value[4] == '-' {
		if t, err := time.Parse(time.RFC3339, value); err == nil {
			return earlier(t, now.Add(longestReset)), true
		}
		return time.Time{}, false
	}
	if d, err := time.ParseDuration(value); err == nil && d >= 0 {
		return now.Add(min(d, longestReset)), true
	}
	return time.Time{}, false
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// number reads a whole number; a fraction is cut off. A negative one, which
// Azure sends for what it does not know, is none.
func number(text string) (int64, bool) {
	n, whole := int64(0), true
	for i := range len(text) {
		switch c := text[i]; {
		case c == '.' && i > 0 && whole:
			whole = false
		case c < '0' || c > '9' || n > 1<<53:
			return 0, false
		case whole:
			n = 10*n + int64(c-'0')
		}
	}
	return n, text != ""
}

// count reads one of Bedrock's counts. The input does not contain what came from
// the cache or went to it; a [llm.Usage] does.
func (t *Told) count(what, value string) {
	n, ok := number(value)
	if !ok {
		return
	}
	switch {
	case same(what, "input-token-count"):
		t.Usage.Input += n
	case same(what, "output-token-count"):
		t.Usage.Output = n
	case same(what, "cache-read-input-token-count"):
		t.Usage.CacheRead, t.Usage.Input = n, t.Usage.Input+n
	case same(what, "cache-write-input-token-count"):
		t.Usage.CacheWrite, t.Usage.Input = n, t.Usage.Input+n
	default:
		return
	}
	t.Counted = true
}

// finish works out what only all fields together tell. Azure's reset is a number
// whose unit differs from deployment to deployment, so the time comes from the
// renewal period: what was used comes back evenly over it.
func (t *Told) finish(now time.Time) {
	for r := range t.Quota {
		a, period := &t.Quota[r], t.period[r]
		if period == 0 {
			continue
		}
		a.Reset, a.Steady = now.Add(period), true
		if a.Limit > 0 && a.Known {
			used := min(1, float64(max(0, a.Limit-a.Remaining))/float64(a.Limit))
			a.Reset = now.Add(time.Duration(used * float64(period)))
		}
	}
}
