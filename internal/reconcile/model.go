package reconcile

import (
	"regexp"
	"slices"
	"strings"
)

// Names of one model as requests, APIs and invoices write them:
//
//	us.anthropic.claude-sonnet-4-5-20250929-v1:0    Claude4.5Sonnet
//	gpt-4o-2024-08-06                               gpt 4o 0806 Inp glbl Tokens

var (
	vendor  = regexp.MustCompile(`^((us|eu|apac|global|jp|au|ca|us-gov)\.)?(anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|google|nvidia|writer|stability|minimax|moonshotai?|zai|luma|twelvelabs)\.`)
	dated   = regexp.MustCompile(`[-@ _]?(20[0-9]{2}-[01][0-9]-[0-3][0-9]|20[0-9]{2}[01][0-9][0-3][0-9])`)
	version = regexp.MustCompile(`(-v[0-9]+)?(:[0-9]+)?(:[0-9]+k)?$`)
	camel   = regexp.MustCompile(`([a-z])([A-Z][a-z])`)
	spaces  = regexp.MustCompile(`[\s_/|]+`)
)

// Normalise is a model's name without vendor, region, date and version: what a
// person calls it. Two spellings of one model may still differ; the comparison
// goes by their words.
func Normalise(name string) string {
	s := strings.ToLower(camel.ReplaceAllString(strings.TrimSpace(name), "$1-$2"))
	if len(s) > 200 {
		s = s[:200]
	}
	s = s[strings.LastIndexByte(s, '/')+1:]
	s = vendor.ReplaceAllString(s, "")
	s = version.ReplaceAllString(s, "")
	s = dated.ReplaceAllString(s, "")
	s = strings.TrimSuffix(s, "-latest")
	return strings.Trim(spaces.ReplaceAllString(strings.ToValidUTF8(s, ""), "-"), "-.:@ ")
}

var (
	words = regexp.MustCompile(`[a-z]+|[0-9]+`)
	// idle are words that one side writes and the other does not.
	idle = []string{"instruct", "chat", "preview", "latest", "model", "models", "edition", "bedrock", "amazon", "azure", "openai", "deep", "seek", "deepseek"}
)

// key is what two spellings of one model have in common: their words in order.
func key(model string) string {
	var out []string
	for _, w := range words.FindAllString(strings.ToLower(Normalise(model)), -1) {
		if !slices.Contains(idle, w) {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
