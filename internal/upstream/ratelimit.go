package upstream

import (
	"strconv"
	"strings"
	"time"

	"tailplane/internal/llm"
)

// The rate-limit headers of the two families say the same in different words:
//
//	x-ratelimit-{limit,remaining,reset}-{requests,tokens}      reset: 6m0s, 12ms
//	anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}  reset: RFC 3339
//
// Source: the recorded headers of both providers.
const (
	openAIRate    = "x-ratelimit-"
	anthropicRate = "anthropic-ratelimit-"
)

// RateHeader says under which name and value a rate-limit header of an
// upstream is told to a client of dialect d; ok is false for every header that
// is none or that the client's family has no word for. One of the client's own
// family passes as it is.
func RateHeader(name, value string, d llm.Dialect, now time.Time) (outName, outValue string, ok bool) {
	ofOpenAI, ofAnthropic := hasPrefix(name, openAIRate), hasPrefix(name, anthropicRate)
	switch {
	case !ofOpenAI && !ofAnthropic:
		return "", "", false
	case ofAnthropic == (d == llm.Anthropic):
		return name, value, true
	case ofOpenAI:
		return toAnthropic(strings.ToLower(name), value, now)
	}
	return toOpenAI(strings.ToLower(name), value, now)
}

// hasPrefix ignores case and allocates nothing.
func hasPrefix(name, prefix string) bool {
	return len(name) > len(prefix) && same(name[:len(prefix)], prefix)
}

// same compares without regard to case. Most servers send what we write.
func same(a, b string) bool {
	return a == b || len(a) == len(b) && strings.EqualFold(a, b)
}

func toAnthropic(name, value string, now time.Time) (string, string, bool) {
	rest, ok := strings.CutPrefix(name, openAIRate)
	measure, unit, cut := strings.Cut(rest, "-")
	if !ok || !cut || (unit != "requests" && unit != "tokens") {
		return "", "", false
	}
	switch measure {
	case "limit", "remaining":
		return anthropicRate + unit + "-" + measure, value, true
	case "reset":
		if wait, ok := resetDuration(value); ok {
			return anthropicRate + unit + "-reset", now.Add(wait).UTC().Format(time.RFC3339), true
		}
	}
	return "", "", false
}

func toOpenAI(name, value string, now time.Time) (string, string, bool) {
	rest, ok := strings.CutPrefix(name, anthropicRate)
	unit, measure, cut := strings.Cut(rest, "-")
	if !ok || !cut || (unit != "requests" && unit != "tokens") {
		return "", "", false
	}
	switch measure {
	case "limit", "remaining":
		return openAIRate + measure + "-" + unit, value, true
	case "reset":
		if at, err := time.Parse(time.RFC3339, value); err == nil {
			return openAIRate + "reset-" + unit, max(0, at.Sub(now)).Round(time.Millisecond).String(), true
		}
	}
	return "", "", false
}

// resetDuration reads "6m0s"; a bare number has no agreed unit and is refused.
func resetDuration(text string) (time.Duration, bool) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}
