// Package replay plays recorded traffic through the production router in
// virtual time: the arrivals and prompts of a trace, simulated engines
// (package sim), and one route.Group for each gateway, with the policies that
// serve real traffic.
//
// It owns the formats of traces, the rules of the clock, what a seed varies,
// and the statistics. It opens no connection, reads no clock but to tell how
// long a run took, and starts no goroutine but those of [Bench], one for each
// core; the same trace, setup and seed give the same numbers. It never changes
// how a policy decides.
//
// Start reading at [Read] for what is played, at [Run] for how one seed is
// played, and at [Bench] for what is made of several.
package replay
