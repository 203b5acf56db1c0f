package httpd

import (
	"net/http"
	"strings"

	"tailplane/internal/http1"
)

// interned are canonical names that clients of model APIs send in lower case,
// beyond what they share with every other client.
var interned = func() map[string]string {
	m := map[string]string{}
	for _, name := range [...]string{
		"Accept", "Accept-Encoding", "Accept-Language", "Api-Key", "Authorization", "Cache-Control", "Connection",
		"Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Origin", "Pragma", "Priority",
		"Referer", "Traceparent", "Tracestate", "Transfer-Encoding", "User-Agent", "Via", "X-Api-Key",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id",
		"Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-Dest",
		"Anthropic-Version", "Anthropic-Beta", "Anthropic-Dangerous-Direct-Browser-Access",
		"Openai-Organization", "Openai-Project", "Openai-Beta", "Idempotency-Key",
		"X-Stainless-Arch", "X-Stainless-Async", "X-Stainless-Lang", "X-Stainless-Os", "X-Stainless-Package-Version",
		"X-Stainless-Read-Timeout", "X-Stainless-Retry-Count", "X-Stainless-Runtime", "X-Stainless-Runtime-Version",
		"X-Stainless-Timeout", "X-Stainless-Helper-Method",
	} {
		m[name] = name
	}
	return m
}()

// canonical is http.CanonicalHeaderKey for a token, without an allocation for
// names that are canonical already or well known.
func canonical(name string) string {
	var short [48]byte
	upper, same := true, true
	if len(name) > len(short) {
		return http.CanonicalHeaderKey(name)
	}
	b := short[:len(name)]
	for i := range len(name) {
		c := name[i]
		switch {
		case upper && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
			same = false
		case !upper && 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
			same = false
		}
		b[i] = c
		upper = c == '-'
	}
	if same {
		return name
	}
	if known, ok := interned[string(b)]; ok {
		return known
	}
	return string(b)
}

// hasToken looks for a token in lists that are separated by commas. White
// space separates, too: to close for a list with the wrong separators is safe.
func hasToken(lists []string, token string) bool {
	for _, list := range lists {
		for list != "" {
			n := strings.IndexAny(list, ", \t")
			if n < 0 {
				n = len(list)
			}
			if equalFold(list[:n], token) {
				return true
			}
			list = list[min(n+1, len(list)):]
		}
	}
	return false
}

// equalFold compares ASCII without regard to case; it folds no other letters.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// isToken checks RFC 9110 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !http1.IsTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// isValue checks that s has no control character but the tab.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHost checks the form of a Host field: host and port, or a literal address,
// in the bytes of RFC 3986 3.2.2.
func isHost(s string) bool {
	const others = "!$%&'()*+,-.:;=[]_~"
	for i := range len(s) {
		c := s[i]
		if c-'0' > 9 && c|0x20-'a' > 25 && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' < 10 }
