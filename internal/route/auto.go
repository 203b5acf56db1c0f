package route

// auto ranks replicas by one cost in seconds:
//
//	wait + k*prefill + delay + memory + adapter + decode + risk + price - home
//
// Wait is for the prompts that were sent there before and have no first token.
// A prompt that is not in the cache costs more than its own prefill (k): it
// evicts what others will ask for, and a conversation that moves leaves its
// cache behind. Delay is what the prefill does to the answers that are being
// written there. Decode is what the tokens there cost this answer, for each of
// which attention reads them all; a conversation that begins will stay, so for
// it those count, too, that are there most of the time and not just now. Memory
// is what happens when the KV cache runs full. Adapter is the time to load the LoRA
// adapter where it is not in memory.
type auto struct{}

// The constants of auto are the same for every trace and engine. They were found
// with the simulator, where the cost is flat around them: docs/benchmarks has what
// became of it, also where it falls short.
const (
	autoPrefill  = 3    // weight of one's own prefill
	autoDelay    = 0.05 // share of a prefill that each answer in flight loses
	autoMemory   = 20   // seconds at a KV cache that is full
	autoPressure = 0.85 // use of it from which it costs
	autoInFlight = 0.03 // seconds for each request in flight
	autoDecode   = 0.5  // weight of what the tokens there cost
	autoStay     = 4    // of those that are there most of the time, for a prompt that is new
	autoDrag     = 0.5  // weight of what a slow replica takes longer for an answer
	autoDollar   = 100  // seconds that a dollar is worth
	shortAnswer  = 200  // tokens of an answer of which nothing is known
	priorContext = 52e-9
)

// WhyCost is the reason of auto.
const WhyCost Why = "the least predicted cost"

// Rank fills the terms of each replica.
func (auto) Rank(q *Query, rs []Replica) Why {
	answer := float64(max(q.Output, shortAnswer))
	for i := range rs {
		r := &rs[i]
		fresh := 1 - float64(r.Hit)/float64(max(1, r.Prompt))
		r.Wait = r.Queue
		r.Delay = autoDelay * r.Prefill * float64(r.InFlight)
		r.Memory = autoMemory * max(0, r.Fill-autoPressure)
		r.Decode = autoInFlight*float64(r.InFlight) +
			autoDecode*priorContext*answer*(float64(r.Context)+autoStay*fresh*r.Usual) +
			autoDrag*answer*priorToken*(max(1, r.Drag)-1)
		r.Cost = r.Wait + autoPrefill*r.Prefill + r.Delay + r.Memory + r.Adapter + r.Decode + r.Risk + autoDollar*r.Price - r.Home
	}
	return WhyCost
}
