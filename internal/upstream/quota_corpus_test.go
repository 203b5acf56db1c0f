package upstream

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tailplane/internal/llmtest/corpus"
)

// silent are the fields of the families of limits that tell of no limit.
var silent = []string{"-query-cost", "x-ratelimit-key", "-abusepenalty-active", "x-endpoint-monthly-call-limit"}

// families tell recordings apart for the report, more telling fields first.
var families = []struct{ name, mark string }{
	{"azure", "x-ratelimit-renewalperiod-"},
	{"mistral", "-minute"},
	{"anthropic", "anthropic-ratelimit-"},
	{"openai and groq", "x-ratelimit-reset-"},
	{"bare", "x-ratelimit-reset"},
	{"openai, filtered, and xai", "x-ratelimit-"},
	{"cohere", "num-tokens"},
	{"bedrock", "x-amzn-bedrock-"},
}

// TestCorpusQuotasAreUnderstood reads the head of every recorded answer. Each
// field that speaks of a limit must be understood by itself, apart from Azure's
// reset, and all of them together must give a share that makes sense.
func TestCorpusQuotasAreUnderstood(t *testing.T) {
	dir, ok := corpus.Dir()
	if !ok {
		t.Skip("no recordings: set TAILPLANE_CORPUS, or put them at ../shared/corpus beside the repository")
	}
	recordings, _, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	ran, fields, bodies := map[string]int{}, 0, 0
	for i := range recordings {
		r := &recordings[i]
		now, err := http.ParseTime(r.Header.Get("Date"))
		if err != nil {
			now = t0
		}
		if family := familyOf(r.Header); family != "" {
			ran[family]++
			fields += readHead(t, r, family, now)
		}
		if r.Status == http.StatusTooManyRequests {
			if q, known := BodyQuota(r.Body, now); known {
				bodies++
				if share, known := q.Headroom(now); share != 0 || !known || q.Wait(now) <= 0 {
					t.Errorf("%s: the body of a refusal gives %s", r.Name(), shown(&q))
				}
			}
		}
	}
	if dir := strings.TrimSuffix(dir, "/"); strings.HasSuffix(dir, "shared/corpus") && (ran["openai and groq"] < 400 || ran["anthropic"] < 74 || ran["azure"] < 50 || bodies == 0) {
		t.Errorf("recordings are missing: %v, %d bodies", ran, bodies)
	}
	fmt.Printf("corpus quotas: %v recordings, %d fields understood; %d bodies\n", ran, fields, bodies)
}

func familyOf(h http.Header) string {
	for _, f := range families {
		for name := range h {
			if strings.Contains(strings.ToLower(name), f.mark) {
				return f.name
			}
		}
	}
	return ""
}

// readHead reads a recorded head and returns how many fields were understood.
func readHead(t *testing.T, r *corpus.Recording, family string, now time.Time) (fields int) {
	var all Told
	for name, values := range r.Header {
		for _, value := range values {
			all.field(name, value, now)
			if !speaksOfLimits(name, family) || strings.HasPrefix(value, "req_") { // two recordings have their values in a wrong order
				continue
			}
			var alone Told
			alone.field(name, value, now)
			if !alone.Limited && !alone.Counted {
				t.Errorf("%s: %s: %s is not understood", r.Name(), name, value)
			}
			fields++
		}
	}
	all.finish(now)
	if !all.Limited {
		return fields
	}
	for res := range all.Quota {
		if a := &all.Quota[res]; a.Limit > 0 && a.Known && a.Remaining > a.Limit || a.Reset.Sub(now) > longestReset {
			t.Errorf("%s: %s", r.Name(), shown(&all.Quota))
		}
	}
	if share, known := all.Quota.Headroom(now); share < 0 || share > 1 || !known && share != 1 {
		t.Errorf("%s: headroom %v, %v", r.Name(), share, known)
	}
	return fields
}

func speaksOfLimits(name, family string) bool {
	name = strings.ToLower(name)
	for _, s := range silent {
		if strings.Contains(name, s) {
			return false
		}
	}
	if family == "azure" && strings.HasPrefix(name, "x-ratelimit-reset") {
		return false
	}
	for _, p := range []string{openAIRate, anthropicRate, cohereTrial, cohereTokens} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return strings.HasPrefix(name, bedrockCount) && strings.HasSuffix(name, "-token-count")
}
