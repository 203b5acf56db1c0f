package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"tailplane/internal/models"
)

// timeoutHeaders are those in which a request says its own timeouts. The LiteLLM
// spellings are understood because SDK users have them in their code.
var timeoutHeaders = [...]string{
	"X-Litellm-Timeout", "X-Litellm-Stream-Timeout",
	"X-Tailplane-Timeout-Connect", "X-Tailplane-Timeout-First-Token", "X-Tailplane-Timeout-Idle", "X-Tailplane-Timeout-Total",
}

// readTimeouts applies what a request says to the timeouts of its model. Values are
// Go durations ("90s") or seconds.
func readTimeouts(h http.Header, t models.Timeouts, stream bool) (models.Timeouts, error) {
	for i, f := range [...]struct {
		into  *time.Duration
		apply bool
	}{{&t.Total, true}, {&t.FirstToken, stream}, {&t.Connect, true}, {&t.FirstToken, true}, {&t.Idle, true}, {&t.Total, true}} {
		values := h[timeoutHeaders[i]]
		if len(values) == 0 || !f.apply {
			continue
		}
		d, err := parseTimeout(values[0])
		if err != nil {
			return t, fmt.Errorf("%s: %w", timeoutHeaders[i], err)
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
