// Package queue holds requests back until a replica has room for them.
//
// It owns the order in which they are let through (bands, fairness between
// tenants in predicted seconds, deadlines), the bounds of what may wait, who is
// refused or shed when they are reached, and what such a client is told. It
// never chooses a replica, never talks to one and does not know what room is:
// the routing group says so.
//
// There are two layers.
//
//   - [Scheduler] decides. It is not safe for concurrent use, has no clock and no
//     goroutine: time is an argument, so that a simulation in virtual time runs
//     the very code that the gateway runs.
//   - [Queue] is a Scheduler with requests that block. Where nothing waits and
//     there is room, a request passes it without an allocation.
//
// The guarantees, and where each is kept:
//
//   - A request that waits leaves exactly once: let through, shed, expired or
//     cancelled (scheduler.go).
//   - What tenants of one band with something waiting are served, in predicted
//     seconds by their weights, differs by no more than one request of each, and
//     a grace that a tenant gets when it comes back (band.go).
//   - A tenant cannot fill the queue against another: the one with the most
//     waiting loses first (shed.go).
//   - A request that would wait beyond its deadline is refused when it comes, not
//     when the deadline has passed (drain.go).
//
// Bands are strict: while a higher one has something that can be sent, a lower
// one waits, and is refused or expires if that takes too long.
//
// [Limit] is apart from both: how many requests an upstream takes at once that
// shows no load but refuses.
//
// Start reading at [Scheduler.Push] and [Scheduler.Pop].
package queue
