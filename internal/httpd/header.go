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

// canonical checks that a field may have this name, and returns it as
// http.CanonicalHeaderKey does: without an allocation where it is canonical
// already or well known.
func canonical(name string) (key string, ok bool) {
	upper, same := true, true
	for i := range len(name) {
		c := name[i]
		if !http1.IsTokenByte(c) {
			return "", false
		}
		if c|0x20-'a' < 26 && c&0x20 == 0 != upper {
			same = false
		}
		upper = c == '-'
	}
	if same {
		return name, name != ""
	}
	return respelled(name), true
}

// respelled is the canonical form of a name.
func respelled(name string) string {
	var short [48]byte
	if len(name) > len(short) {
		return http.CanonicalHeaderKey(name)
	}
	b := short[:copy(short[:], name)]
	upper := true
	for i, c := range b {
		if c|0x20-'a' < 26 {
			if b[i] = c | 0x20; upper {
				b[i] = c &^ 0x20
			}
		}
		upper = c == '-'
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
			if http1.EqualFold(list[:n], token) {
				return true
			}
			list = list[min(n+1, len(list)):]
		}
	}
	return false
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
