package complexity

import (
	"encoding/json"
	"strings"

	"tailplane/internal/llm"
)

// Answer is what the weak model said, as far as a cascade looks at it.
type Answer struct {
	Text      string
	ToolCalls int
	Stop      llm.StopReason
	// JSON says that the request wanted the answer to be JSON.
	JSON bool
	// Logprob is the mean log-probability of its tokens; nil where the target does
	// not tell.
	Logprob *float64
}

// Flaw is what is wrong with an answer; empty when nothing is seen.
type Flaw string

const (
	FlawEmpty     Flaw = "empty"
	FlawTruncated Flaw = "truncated"
	FlawRefused   Flaw = "refused"
	FlawNoJSON    Flaw = "no_json"
	FlawUnsure    Flaw = "unsure"
	FlawFailed    Flaw = "failed"
)

// Check says why the strong model should be asked instead of sending an answer.
// It sees answers that are unusable; it does not see wrong ones. leastLogprob of
// zero does not look at the log-probability.
func Check(a Answer, leastLogprob float64) Flaw {
	text := strings.TrimSpace(a.Text)
	switch {
	case a.Stop == llm.StopError:
		return FlawFailed
	case a.Stop == llm.StopLength:
		return FlawTruncated
	case a.Stop == llm.StopRefusal || a.Stop == llm.StopFilter:
		return FlawRefused
	case a.ToolCalls > 0:
		return "" // its text is beside the point
	case text == "":
		return FlawEmpty
	case a.JSON && !json.Valid([]byte(text)):
		return FlawNoJSON
	case !a.JSON && refuses(text):
		return FlawRefused
	case leastLogprob < 0 && a.Logprob != nil && *a.Logprob < leastLogprob:
		return FlawUnsure
	}
	return ""
}

// mostRefusal is how long a refusal is at most: a long answer that begins with
// an apology goes on to say something.
const mostRefusal = 400

// refusals are how models begin when they decline, in lower case. It is a short
// list on purpose: one that is missed costs a bad answer, one too many costs a
// second call for a good one.
var refusals = []string{
	"i'm sorry, but i can", "i am sorry, but i can", "sorry, but i can", "sorry, i can't", "i can't help with", "i can't assist",
	"i cannot help with", "i cannot assist", "i'm unable to", "i am unable to", "i'm not able to", "i am not able to", "as an ai",
	"i don't have enough information", "i don't know",
	"es tut mir leid, aber ich kann", "je suis désolé, mais je ne peux", "lo siento, pero no puedo",
}

func refuses(text string) bool {
	if len(text) > mostRefusal {
		return false
	}
	text = strings.ReplaceAll(strings.ToLower(text), "’", "'")
	for _, beginning := range refusals {
		if strings.HasPrefix(text, beginning) {
			return true
		}
	}
	return false
}
