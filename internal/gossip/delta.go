package gossip

// The kinds of a Delta, in the order of a request's life.
const (
	Sent  uint8 = iota // a request went to a replica
	First              // its first token came: its prefill is done
	Done               // it ended
)

// Delta is one thing that a gateway did.
type Delta struct {
	Group   uint64 // which replicas: hash of the model's name and group
	Replica uint64 // hash of the target's name
	Kind    uint8  // Sent, First or Done
	Work    int32  // microseconds of prefill that are added (Sent) or released (First)
	Tokens  int32  // of the prompt
	Lane    uint64 // hash after the first user message
	Head    uint64 // last checkpoint of the prompt
	End     int32  // its offset in canonical bytes
}
