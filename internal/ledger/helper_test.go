package ledger

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tailplane/internal/llm"
)

func TestMain(m *testing.M) {
	if dir := killChildDir(); dir != "" {
		killChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// typical is what the gateway records for an ordinary streamed answer.
func typical(id string) *Exchange {
	u := llm.Usage{Input: 1523, CacheRead: 1024, Output: 212, Reasoning: 64, Source: llm.UsageReported}
	return &Exchange{
		ID: id, Start: time.Date(2026, 11, 24, 9, 30, 0, 123456789, time.UTC), Config: "c3f1a9d2",
		Key: "k_7Q2M", Name: "chat-backend", Customer: "acme", Client: "OpenAI/Python 2.3.0",
		Op: llm.OpGenerate, Dialect: llm.Chat, Model: "gpt-5-mini", Stream: true, Bytes: 1812,
		Reason: "least loaded of 3",
		Attempts: []Attempt{{
			Target: "openai-eu", Kind: "openai", Model: "gpt-5-mini-2025-08-07", Dialect: llm.Chat, Lane: "splice", Why: "first",
			Begin: 210 * time.Microsecond, Reused: true, Head: 180 * time.Millisecond, FirstToken: 420 * time.Millisecond, Took: 3 * time.Second,
			Status: 200, Upstream: "req_9f0c2e7b41", Stop: llm.StopEnd, Usage: u, Cost: 1_204_500, Priced: Priced,
		}},
		Outcome: OutcomeOK, Status: 200, Admitted: 95 * time.Microsecond, FirstToken: 421 * time.Millisecond, Total: 3001 * time.Millisecond,
		Events: 214, ITLMax: 61 * time.Millisecond, SentBytes: 48210,
		Usage: u, Cost: 1_204_500, PriceStatus: Priced, PriceVersion: "genai-prices/2026-08-21",
	}
}

func openTest(t testing.TB, o JournalOptions) *Journal {
	t.Helper()
	j, err := OpenJournal(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func id(n int) string { return fmt.Sprintf("req_%08d", n) }
