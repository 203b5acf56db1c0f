package route

import (
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/models"
	"tailplane/internal/prefix"
)

// Policy says which replica of a group is asked. It gives each a cost: the least
// is asked first, and the others follow in that order when it fails.
//
// A policy is a function of what it is given and of a little state of its own (a
// turn, a ring, a table of sessions). Its group calls it from one goroutine at
// a time. rs is never empty, and keeps its order as long as its members do.
type Policy interface {
	Rank(q *Query, rs []Replica) Why
}

// Query is what is known of a request when it is routed.
type Query struct {
	// Work is what the request makes a replica do; Size how large it is where that is
	// WorkOther, in a unit of its own kind: 0 is nothing that would be learned from.
	Work Work
	Size int
	// Chain is the prompt as checkpoints, or how long the text is; the zero Chain
	// shares nothing.
	Chain   prefix.Chain
	Output  int    // tokens that the answer is expected to have
	Session uint64 // hash of what the caller says that it belongs to; 0 is nothing
	Adapter string // LoRA adapter that it needs; empty is none
	// Policy is the one to rank by; zero is the group's own.
	Policy models.Policy
	Roll   uint64    // chance
	Now    time.Time // set by the group
	Held   bool      // it was held back as [Decision.Hold] said, and goes now
	Dry    bool      // somebody only asks: the policy takes no turn and remembers nothing
	// Prefilled: another replica computes the prompt. What is sent then costs no
	// prefill, and its answer teaches nothing of how fast one is.
	Prefilled bool
}

// Replica is a candidate as its group sees it for one request. Costs and
// times are in seconds, sizes in tokens.
type Replica struct {
	Name   string
	Key    uint64 // hash of the name
	Weight int
	Price  float64 // dollars that the request is expected to cost there; 0 where nothing is known

	InFlight int     // requests there, as far as gateways know
	Context  int     // tokens that those requests hold
	Usual    float64 // of Context, lately
	Queue    float64 // until what was sent before has its first token
	Queued   int     // tokens of prompts there that have no first token yet

	Prompt int     // tokens of this prompt
	Answer float64 // tokens that its answer is expected to have
	Reuse  float64 // share of their prompts that requests find in a cache, lately
	Hit    int     // of these, expected in its cache
	Fill   float64 // share of its cache that requests in flight hold

	FirstToken float64 // lately, until the first token; 0 is not known
	PerToken   float64 // for each further one
	Drag       float64 // how much longer it takes for one than the others; 1 is as long

	Rests bool // it has had its part, and is asked after the others

	Terms

	Engine engine.Sample // what the engine says of itself
}

// Terms are the parts of a replica's cost, in seconds.
type Terms struct {
	Wait    float64 `json:"wait"`    // for what was sent there before
	Prefill float64 `json:"prefill"` // to compute what is not in its cache
	Delay   float64 `json:"delay"`   // that this puts on those who are being answered
	Memory  float64 `json:"memory"`  // pressure on its KV cache
	Adapter float64 `json:"adapter"` // to load the LoRA adapter
	Decode  float64 `json:"decode"`  // to write the answer beside those who are there
	Risk    float64 `json:"risk"`    // what puts it behind the others where it has had its part: slow start, ill health
	Home    float64 `json:"home"`    // taken off for the replica where the conversation lives
	Cost    float64 `json:"cost"`    // by which it is ranked; other policies than auto set this alone
}
