package route

// auto ranks replicas by one cost in seconds:
//
//	wait + k*prefill + delay + memory + adapter + decode + price - home
//
// Wait is for the prompts that were sent there before and have no first token.
// A prompt that is not in the cache costs more than its own prefill (k): it
// evicts what others will ask for, and a conversation that moves leaves its
// cache behind. Delay is what the prefill does to the answers that are being
// written there. Decode is what attention costs, which reads all tokens of a
// batch for each token of an answer: those of this prompt make the answers there
// slower, and those there this answer. What is there now says how it will be only
// where conversations return to their caches; there, one that begins stays, so
// for it those count, too, that are there most of the time. Memory is what
// happens when the KV cache runs full. Adapter is the time to load the
// LoRA adapter where it is not in memory. Ill health has no price here: part.go.
type auto struct{}

// The constants of auto are the same for every trace and engine. They were found
// with the simulator, where the cost is flat around them: docs/benchmarks has what
// became of it, also where it falls short.
const (
	autoPrefill  = 3    // weight of one's own prefill
	autoDelay    = 0.05 // share of a prefill that each answer in flight loses
	autoMemory   = 20   // seconds at a KV cache that is full
	autoPressure = 0.85 // use of it from which it costs
	autoInFlight = 0.02 // seconds for each request in flight
	autoOthers   = 0.4  // weight of what this prompt costs the answers there
	autoAnswer   = 1.2  // weight of what the tokens there cost this answer, where all prompts return to a cache
	autoStay     = 2    // of those that are there most of the time, for a prompt that is new
	autoDrag     = 0.1  // weight of what a slow replica takes longer for an answer when nobody else is there
	autoDollar   = 100  // seconds that a dollar is worth
	priorContext = 52e-9
)

// WhyCost is the reason of auto.
const WhyCost Why = "the least predicted cost"

// Rank fills the terms of each replica.
func (auto) Rank(_ *Query, rs []Replica) Why {
	for i := range rs {
		r := &rs[i]
		fresh := 1 - float64(r.Hit)/float64(max(1, r.Prompt))
		r.Wait = r.Queue
		r.Delay = autoDelay * r.Prefill * float64(r.InFlight)
		r.Memory = autoMemory * max(0, r.Fill-autoPressure)
		others := autoOthers * float64(r.Prompt*r.InFlight)
		own := autoAnswer * r.Reuse * (float64(r.Context) + autoStay*fresh*r.Usual)
		slow := max(1, r.Drag)
		r.Decode = autoInFlight*float64(r.InFlight) + r.Answer*(slow*priorContext*(others+own)+autoDrag*priorToken*(slow-1))
		r.Cost = r.Wait + autoPrefill*r.Prefill + r.Delay + r.Memory + r.Adapter + r.Decode + autoDollar*r.Price - r.Home
	}
	return WhyCost
}
