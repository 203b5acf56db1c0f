package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tailplane/internal/ledger"
)

func TestWhyTellsWhatWasChosenAmong(t *testing.T) {
	record := ledger.Exchange{
		ID: "req_1", Reason: "the least predicted cost", Policy: "auto", Among: 20, ExpectedInput: 1200, ExpectedOutput: 340,
		Choice: []ledger.Choice{
			{Target: "gpu-1", InFlight: 3, Hit: 1024, Prefill: 50_100, Decode: 90_000, Cost: 240_300},
			{Target: "gpu-2", Model: "llama-fp8", InFlight: 1, Prefill: 350_000, Cost: 1_140_000},
			{Target: "gpu-3", Not: "it is drained"},
		},
	}
	cases := []struct {
		name string
		with func(*ledger.Exchange)
		says []string
		not  []string
	}{
		{"a choice", func(*ledger.Exchange) {}, []string{
			"  chosen    by auto of 20 candidates, of which 17 are not listed, expecting 1200 tokens in and 340 out; times in seconds\n" +
				"            CANDIDATE          IN FLIGHT  HIT   PREFILL  DECODE  COST   NOT NOW, FOR\n" +
				"            > gpu-1            3          1024  0.050    0.090   0.240\n" +
				"              gpu-2/llama-fp8  1          0     0.350    0.000   1.140\n" +
				"              gpu-3            -          -     -        -       -      it is drained\n",
		}, []string{"WAIT", "HOME"}},
		{"nobody was ready", func(ex *ledger.Exchange) { ex.Choice[0].Not = "it is left alone after failures" }, nil, []string{"> gpu"}},
		{"a prompt that was computed elsewhere", func(ex *ledger.Exchange) {
			ex.Prefill = ledger.Prefill{
				Target: "p-1", Convention: "vllm", Why: "the least predicted cost", Uncached: 812, Policy: "auto", Among: 2,
				Choice: []ledger.Choice{{Target: "p-1", Hit: 512, Prefill: 9_000, Cost: 27_000}, {Target: "p-2", Not: "it is left alone after failures"}},
			}
		}, []string{
			"  prefill   by p-1 (vllm): the least predicted cost; 812 tokens were missing where it is answered\n" +
				"            CANDIDATE  IN FLIGHT  HIT  PREFILL  COST   NOT NOW, FOR\n" +
				"            > p-1      0          512  0.009    0.027\n" +
				"              p-2      -          -    -        -      it is left alone after failures\n",
		}, nil},
		{"a prompt that was not", func(ex *ledger.Exchange) {
			ex.Prefill = ledger.Prefill{Convention: "vllm", Why: "fewer than 256 tokens are missing from the cache of gpu-1", Uncached: 12}
		}, []string{"  prefill   by the replica that answers: fewer than 256 tokens are missing from the cache of gpu-1\n"}, nil},
		{"a fault", func(ex *ledger.Exchange) { ex.Fault, ex.Message = "stream_cut", "it was cut" }, []string{"  fault     stream_cut: it was cut\n"}, nil},
		{"nobody knows how it ended", func(ex *ledger.Exchange) { ex.Outcome, ex.Message = ledger.OutcomeUnknown, "the process ended" }, []string{"  fault     the process ended\n"}, nil},
		{"no policy chose", func(ex *ledger.Exchange) { ex.Choice = nil }, nil, []string{"chosen", "CANDIDATE"}},
	}
	for _, c := range cases {
		ex := record
		ex.Choice = append([]ledger.Choice{}, record.Choice...)
		c.with(&ex)
		out, errs, code := ask(t, func(w http.ResponseWriter, _ *http.Request) {
			if err := json.NewEncoder(w).Encode(&ex); err != nil {
				t.Error(err)
			}
		}, "why", "req_1")
		if code != ExitOK {
			t.Fatalf("%s: exit %d, %s", c.name, code, errs)
		}
		for _, text := range c.says {
			if !strings.Contains(out, text) {
				t.Errorf("%s: %q is not in\n%s", c.name, text, out)
			}
		}
		for _, text := range c.not {
			if strings.Contains(out, text) {
				t.Errorf("%s: %q is in\n%s", c.name, text, out)
			}
		}
	}
}
