package ledger

import (
	"testing"
)

// aCandidate is one of a busy pool.
var aCandidate = Choice{
	Target: "gpu-west-03", InFlight: 9, Hit: 3072, Wait: 48_211, Prefill: 101_940, Delay: 20_017, Decode: 1_804_113, Home: 12_500, Cost: 1_961_781,
}

// TestACandidateTakesFewBytes: a record of a pool of eight must not be many times
// one of a single target.
func TestACandidateTakesFewBytes(t *testing.T) {
	ex := &Exchange{ID: "req_1"}
	none := len(appendExchange(nil, ex))
	ex.Choice = []Choice{aCandidate, aCandidate, aCandidate, aCandidate}
	each := (len(appendExchange(nil, ex)) - none) / len(ex.Choice)
	t.Logf("a candidate takes %d bytes", each)
	if each > 56 {
		t.Errorf("a candidate takes %d bytes, want at most 56", each)
	}
}

// TestADecodedRecordKeepsNoChoiceOfTheLastOne: the drain decodes one after the
// other into the same memory.
func TestADecodedRecordKeepsNoChoiceOfTheLastOne(t *testing.T) {
	var ex Exchange
	for _, n := range []int{3, 0, 2} {
		in := &Exchange{ID: "req_1", Choice: make([]Choice, n)}
		for i := range in.Choice {
			in.Choice[i] = aCandidate
			in.Choice[i].Not = ""
		}
		if n == 2 {
			in.Choice[1] = Choice{Target: "b", Not: "it is drained"}
		}
		if err := decodeInto(&ex, string(appendExchange(nil, in))); err != nil || len(ex.Choice) != n {
			t.Fatalf("%d candidates came back as %d, %v", n, len(ex.Choice), err)
		}
		for i := range ex.Choice {
			if ex.Choice[i] != in.Choice[i] {
				t.Errorf("%+v, want %+v", ex.Choice[i], in.Choice[i])
			}
		}
	}
}
