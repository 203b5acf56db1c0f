package route

// auto ranks replicas by one cost in seconds:
//
//	wait + k*prefill + delay + memory + decode + risk - home
//
// A prompt that is not in the cache costs more than its own prefill (k): it
// evicts what others will ask for, and a conversation that moves leaves its
// cache behind. Delay is what the prefill does to the answers that are being
// written there, decode what they and this answer do to each other.
type auto struct {
	k      float64 // weight of one's own prefill
	lambda float64 // share of a prefill that each answer in flight loses
	slope  float64 // seconds at a full KV cache
	decode float64 // weight of the decode term
}

// The constants of auto are the same for every trace and engine.
const (
	autoPrefill  = 4
	autoDelay    = 0.05
	autoMemory   = 20
	autoPressure = 0.85 // KV use from which memory costs
	autoDecode   = 0.05 // seconds for each request in flight
)

func newAuto() *auto { return &auto{autoPrefill, autoDelay, autoMemory, autoDecode} }

// WhyCost is the reason of auto.
const WhyCost Why = "the least predicted cost"

// Rank fills the terms of each replica.
func (a *auto) Rank(_ *Query, rs []Replica) Why {
	for i := range rs {
		r := &rs[i]
		r.Wait = r.Queue
		r.Delay = a.lambda * r.Prefill * float64(r.InFlight)
		r.Memory = a.slope * max(0, r.Fill-autoPressure)
		r.Decode = a.decode * float64(r.InFlight)
		r.Cost = r.Wait + a.k*r.Prefill + r.Delay + r.Memory + r.Decode + r.Risk - r.Home
	}
	return WhyCost
}
