package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"tailplane/internal/models"
)

// requestTimeouts applies what a request says about its own timeouts to those
// of its model. Values are Go durations ("90s") or seconds. The LiteLLM
// spellings are understood because SDK users have them in their code.
func requestTimeouts(h http.Header, t models.Timeouts, stream bool) (models.Timeouts, error) {
	for _, f := range [...]struct {
		header string
		into   *time.Duration
		apply  bool
	}{
		{"X-Litellm-Timeout", &t.Total, true},
		{"X-Litellm-Stream-Timeout", &t.FirstToken, stream},
		{"X-Tailplane-Timeout-Connect", &t.Connect, true},
		{"X-Tailplane-Timeout-First-Token", &t.FirstToken, true},
		{"X-Tailplane-Timeout-Idle", &t.Idle, true},
		{"X-Tailplane-Timeout-Total", &t.Total, true},
	} {
		values := h[f.header]
		if len(values) == 0 || !f.apply {
			continue
		}
		d, err := parseTimeout(values[0])
		if err != nil {
			return t, fmt.Errorf("%s: %w", f.header, err)
		}
		*f.into = d
	}
	return t, nil
}

const longestTimeout = 24 * time.Hour

func parseTimeout(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if seconds, bare := strconv.ParseFloat(text, 64); bare == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d <= 0 || d > longestTimeout {
		return 0, fmt.Errorf("%q is not a timeout; write 90s, 2m or a number of seconds, at most 24h", cut(text, 40))
	}
	return d, nil
}
