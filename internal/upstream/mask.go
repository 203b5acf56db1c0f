package upstream

import (
	"encoding/base64"
	"regexp"
	"strings"

	"tailplane/internal/llm"
)

// What providers say about a credential that they refuse often repeats it
// ("Incorrect API key provided: sk-..."). Their words go to clients, to the
// ledger and to the log, so whatever may be a credential is blanked first.

// credentials matches what looks like one: the key prefixes that providers use,
// with the asterisks by which some of them shorten a key, whatever follows
// "Bearer", and JSON web tokens. Words of a model's or an error's name are
// shorter than these.
var credentials = regexp.MustCompile(`(?i:\bbearer\s+)[A-Za-z0-9._~+/=*-]{8,}` +
	`|\b(?:sk|pk|rk)-[A-Za-z0-9_*-]{8,}` +
	`|\b(?:gsk_|xai-|pplx-|fw_|tgp_v1_|hf_|nvapi-|r8_|AIza|AKIA|ASIA)[A-Za-z0-9_*-]{12,}` +
	`|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`)

const blank = "[key]"

// shortestSecret is the length from which one of our own secrets is looked for:
// a shorter one would blank ordinary words.
const shortestSecret = 8

// mask blanks the given secrets, plain and in base64, and everything that looks
// like a credential.
func mask(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) < shortestSecret || len(s) > len(text) {
			continue
		}
		text = strings.ReplaceAll(text, s, blank)
		text = strings.ReplaceAll(text, base64.StdEncoding.EncodeToString([]byte(s)), blank)
	}
	return credentials.ReplaceAllString(text, blank)
}

func masked(b llm.ErrorBody, secrets []string) llm.ErrorBody {
	b.Type, b.Code, b.Param, b.Message = mask(b.Type, secrets), mask(b.Code, secrets), mask(b.Param, secrets), mask(b.Message, secrets)
	return b
}
