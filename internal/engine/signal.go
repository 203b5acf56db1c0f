package engine

import (
	"fmt"
	"math"
	"slices"
)

// Signal is a set of things that an engine may say of itself. What is not in a
// set is not known, which is never the same as zero.
type Signal uint16

// The signals.
const (
	SignalRunning     Signal = 1 << iota // requests in the batch
	SignalWaiting                        // requests that wait for room in it
	SignalKVUsage                        // share of the KV cache that is in use
	SignalKVTokens                       // tokens that the KV cache holds
	SignalPrompt                         // prompt tokens since the engine started
	SignalGenerated                      // tokens generated since then
	SignalPrefixCache                    // share of the prompt tokens looked up in the prefix cache that were found
	SignalPreemptions                    // requests put back for lack of cache since then
	SignalAdapters                       // LoRA adapters that are loaded
	SignalAwake                          // whether its weights are in place
	signalEnd
)

// signalNames are the words of the config and of the metrics' label.
var signalNames = [...]string{
	"running", "waiting", "kv_usage", "kv_tokens", "prompt_tokens", "generated_tokens", "prefix_cache", "preemptions", "adapters", "awake",
}

// Has reports whether all of want is in the set.
func (s Signal) Has(want Signal) bool { return s&want == want }

// Names are the words for what is in the set.
func (s Signal) Names() []string {
	var out []string
	for i, name := range signalNames {
		if s.Has(1 << i) {
			out = append(out, name)
		}
	}
	return out
}

// SignalOf is the signal with that name; 0 when there is none.
func SignalOf(name string) Signal {
	if i := slices.Index(signalNames[:], name); i >= 0 {
		return 1 << i
	}
	return 0
}

// SignalNames are all of the names.
func SignalNames() []string { return (signalEnd - 1).Names() }

// Sample is what an engine said of itself at one moment. A figure means
// something only where its signal is in Known.
type Sample struct {
	Known Signal
	// Refused are signals that were on the page with a value that cannot be true.
	Refused Signal

	Running, Waiting float64
	KVUsage          float64 // 0 to 1
	KVTokens         float64

	Prompt, Generated float64
	PrefixHit         float64 // 0 to 1, since the engine started
	Preemptions       float64

	Adapters     []string
	MostAdapters int     // that it holds at once; 0 is not known
	Awake        float64 // 0 is asleep

	// Started is when the process of the page was started, in seconds since 1970; 0 is
	// not known. Clients of Prometheus show it under one name, whatever the engine.
	Started float64

	// Motion changes whenever the engine works; Moving says that there was
	// anything to see it by.
	Motion uint64
	Moving bool
}

// The bounds of what can be true.
const (
	mostRequests = 1e6  // in one engine
	mostTokens   = 1e10 // in one cache
	mostCounted  = 1e16 // below which a float64 counts by ones
	// slack is how far above full a share may be: engines divide roundly.
	slack = 1.01
)

// set takes a figure into the sample, or refuses it.
func (s *Sample) set(signal Signal, v float64) {
	most := mostCounted
	switch signal {
	case SignalRunning, SignalWaiting:
		most = mostRequests
	case SignalKVUsage, SignalPrefixCache:
		most = slack
	case SignalKVTokens:
		most = mostTokens
	}
	if math.IsNaN(v) || v < 0 || v > most || signal == SignalKVTokens && v < 1 {
		s.Refused |= signal
		return
	}
	*s.field(signal) = v
	s.Known |= signal
}

// field is where the figure of a signal stands.
func (s *Sample) field(signal Signal) *float64 {
	switch signal {
	case SignalRunning:
		return &s.Running
	case SignalWaiting:
		return &s.Waiting
	case SignalKVUsage:
		return &s.KVUsage
	case SignalKVTokens:
		return &s.KVTokens
	case SignalPrompt:
		return &s.Prompt
	case SignalGenerated:
		return &s.Generated
	case SignalPrefixCache:
		return &s.PrefixHit
	case SignalPreemptions:
		return &s.Preemptions
	case SignalAwake:
		return &s.Awake
	}
	panic(fmt.Sprintf("engine: signal %v has no figure", signal.Names())) // a source of the table is not for it
}
