package upstream

import (
	"bytes"
	"strings"
	"time"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// BodyQuota reads what the body of a refusal tells about limits: Google's, which
// sends no headers for them, lists the limits that were exceeded
// (google.rpc.QuotaFailure) and when to come back (google.rpc.RetryInfo). Of
// every other body it reads nothing. known says whether there was anything.
func BodyQuota(body []byte, now time.Time) (q llm.Quota, known bool) {
	body = bytes.TrimSpace(body)
	if list, ok := bytes.CutPrefix(body, []byte("[")); ok { // a stream that was not asked for as events
		body = bytes.TrimSuffix(list, []byte("]"))
	}
	var outer, inner [1]wire.Member
	if _, err := wire.Scan(body, []string{"error"}, outer[:]); err != nil {
		return q, false
	}
	if _, err := wire.ScanAt(body, outer[0].Value, []string{"details"}, inner[:]); err != nil {
		return q, false
	}
	var after time.Duration
	for detail := range wire.Elements(body, inner[0].Value) {
		var m [3]wire.Member
		if _, err := wire.ScanAt(body, detail, []string{"@type", "violations", "retryDelay"}, m[:]); err != nil {
			continue
		}
		kind, _ := wire.String(m[0].Value.Of(body))
		switch {
		case strings.HasSuffix(kind, "google.rpc.QuotaFailure"):
			for v := range wire.Elements(body, m[1].Value) {
				if r, limit, ok := violation(body, v); ok {
					q[r], known = llm.Allowance{Limit: limit, Known: true, Learned: now}, true
				}
			}
		case strings.HasSuffix(kind, "google.rpc.RetryInfo"):
			text, _ := wire.String(m[2].Value.Of(body))
			if d, err := time.ParseDuration(text); err == nil {
				after = min(max(d, 0), longestReset)
			}
		}
	}
	if after > 0 {
		for r := range q {
			if q[r].Known {
				q[r].Reset = now.Add(after)
			}
		}
	}
	return q, known
}

// violation reads one limit that was exceeded. Its name says of what, such as
// generate_content_paid_tier_input_token_count.
func violation(body []byte, at wire.Span) (r llm.Resource, limit int64, ok bool) {
	var m [3]wire.Member
	if _, err := wire.ScanAt(body, at, []string{"quotaMetric", "quotaId", "quotaValue"}, m[:]); err != nil {
		return 0, 0, false
	}
	metric, _ := wire.String(m[0].Value.Of(body))
	id, _ := wire.String(m[1].Value.Of(body))
	name := strings.ReplaceAll(strings.ToLower(metric+" "+id), "_", "")
	if text, isText := wire.String(m[2].Value.Of(body)); isText {
		limit, _ = number(text)
	} else {
		limit, _ = number(string(m[2].Value.Of(body)))
	}
	for _, known := range [...]struct {
		word     string
		resource llm.Resource
	}{
		{"inputtoken", llm.QuotaInputTokens}, {"outputtoken", llm.QuotaOutputTokens}, {"token", llm.QuotaTokens}, {"request", llm.QuotaRequests},
	} {
		if strings.Contains(name, known.word) {
			return known.resource, limit, true
		}
	}
	return 0, 0, false
}
