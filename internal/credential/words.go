package credential

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// What identity endpoints say when they refuse goes to logs, the ledger and
// callers. It may repeat what it was sent.

// suspicious is what looks like a credential: JSON web tokens, Google's and
// AWS's tokens, and whatever is long and has no spaces.
var suspicious = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]+|\bya29\.[A-Za-z0-9_-]+|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bhvs\.[A-Za-z0-9_-]+|[A-Za-z0-9+/_=-]{60,}`)

const longestWords = 300

// words is a text of an endpoint without the given secrets and all that looks
// like one, on one line, shortened.
func words(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, "[secret]")
			text = strings.ReplaceAll(text, url.QueryEscape(s), "[secret]")
		}
	}
	text = suspicious.ReplaceAllString(text, "[secret]")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longestWords {
		text = strings.ToValidUTF8(text[:longestWords], "") + "..."
	}
	return text
}

// refusal is an identity endpoint that gave nothing: which one, and its own
// words. It does not wrap the library's error, whose text is not vetted.
func refusal(endpoint string, err error, secrets ...string) error {
	if dial, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s cannot be reached: %s", endpoint, words(dial.Err.Error(), secrets...))
	}
	return fmt.Errorf("%s gave no credential: %s", endpoint, words(err.Error(), secrets...))
}
