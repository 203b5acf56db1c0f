package discover

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWhichReplicasAreUsed(t *testing.T) {
	ready, going, gone := Endpoint{Ready: true, Serving: true}, Endpoint{Serving: true, Terminating: true}, Endpoint{Terminating: true}
	stubborn := Endpoint{Ready: true, Serving: true, Terminating: true} // of a service that publishes what is not ready
	starting := Endpoint{}
	cases := []struct {
		name string
		list []Endpoint
		want []bool
	}{
		{"ready ones", []Endpoint{ready, ready}, []bool{true, true}},
		{"one drains", []Endpoint{ready, going}, []bool{true, false}},
		{"one drains and says that it is ready", []Endpoint{ready, stubborn}, []bool{true, false}},
		{"one starts", []Endpoint{ready, starting}, []bool{true, false}},
		{"all drain: those that still answer", []Endpoint{going, gone, going}, []bool{true, false, true}},
		{"none answers", []Endpoint{gone, starting}, []bool{false, false}},
		{"none", nil, []bool{}},
	}
	for _, c := range cases {
		if got := usable(c.list); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestWhatIsBelieved: whatever a source says, what is believed is its last answer
// with a usable replica, or a later one without that was said for the whole grace.
func TestWhatIsBelieved(t *testing.T) {
	const grace = 10 * time.Second
	rapid.Check(t, func(t *rapid.T) {
		var h held
		now := time.Unix(0, 0)
		want, emptySince := "none yet", time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "answers") {
			now = now.Add(time.Duration(rapid.IntRange(0, 6).Draw(t, "seconds")) * time.Second)
			if !emptySince.IsZero() && now.Sub(emptySince) >= grace {
				h.expire(now, grace)
				want, emptySince = "", time.Time{}
			}
			a := Answer{At: now}
			says := rapid.SampledFrom([]string{"fails", "empty", "a", "a b", "b"}).Draw(t, "says")
			before, wanted := told(h), want
			switch says {
			case "fails":
				a.Err = errors.New("failed")
			case "empty":
				if want == "" || want == "none yet" {
					want = ""
				} else if emptySince.IsZero() {
					emptySince = now
				}
			default:
				for name := range strings.SplitSeq(says, " ") {
					a.Endpoints = append(a.Endpoints, Endpoint{Address: name, Ready: true, Serving: true})
				}
				want, emptySince = says, time.Time{}
			}
			changed := h.take(a, grace)
			if got := told(h); got != want {
				t.Fatalf("%s after %q: believed is %q, want %q", says, before, got, want)
			}
			if changed != (wanted != want) {
				t.Fatalf("%s after %q: change %v", says, before, changed)
			}
		}
	})
}

func told(h held) string {
	if !h.answered {
		return "none yet"
	}
	var out []string
	for _, e := range h.endpoints {
		out = append(out, e.Address)
	}
	return strings.Join(out, " ")
}

func TestTooManyReplicasAreCut(t *testing.T) {
	var h held
	a := Answer{}
	for i := range mostEndpoints + 7 {
		a.Endpoints = append(a.Endpoints, Endpoint{Address: fmt.Sprintf("h%05d:1", i), Ready: true})
	}
	h.take(a, time.Second)
	if len(h.endpoints) != mostEndpoints || h.dropped != 7 {
		t.Errorf("%d are kept and %d dropped", len(h.endpoints), h.dropped)
	}
}

// TestNamesOfReplicas: each has one of its own, that can be a label and a header,
// and depends on nothing but itself while names differ.
func TestNamesOfReplicas(t *testing.T) {
	cases := []struct{ name, address, want string }{
		{"", "10.0.0.7:8000", "llama/10-0-0-7-8000"},
		{"", "[fd00::7]:8000", "llama/fd00--7-8000"},
		{"", "vllm-0.vllm.svc:8000", "llama/vllm-0-vllm-svc-8000"},
		{"vllm-7d4b9-x2x", "10.0.0.7:8000", "llama/vllm-7d4b9-x2x"},
		{"a b/c\"d,ü", "10.0.0.7:8000", "llama/a-b-c-d--"},
		{strings.Repeat("x", 200), "10.0.0.7:8000", "llama/" + strings.Repeat("x", 113) + "-" + short(strings.Repeat("x", 200))},
	}
	for _, c := range cases {
		if got := calledBy("llama", c.name, c.address); got != c.want || len(got) > longestName {
			t.Errorf("%q at %s is called %q, want %q", c.name, c.address, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var list []Endpoint
		for i := range rapid.IntRange(1, 8).Draw(t, "n") {
			list = append(list, Endpoint{Address: fmt.Sprintf("%s:%d", rapid.SampledFrom([]string{"a.b", "a-b", "c"}).Draw(t, "host"), i), Name: rapid.SampledFrom([]string{"", "pod", "pod-1", "a-b-1"}).Draw(t, "name")})
		}
		seen := map[string]bool{}
		for _, r := range replicas("t", list) {
			if seen[r.Called] {
				t.Fatalf("two replicas are called %s", r.Called)
			}
			seen[r.Called] = true
		}
	})
}
