// Package sim is a simulated inference engine: a timing model with vLLM's
// scheduling rules, and an HTTP server over it that speaks the OpenAI protocol
// and exposes vLLM's metric names. It serves the demo (sim/fast, sim/slow), the
// tests and the benchmarks, needs no GPU and no key, and costs nothing.
//
// It never talks to a network of its own, never reads a file, and never claims
// to be a real model: every text it writes carries "(simulated)".
//
// There are two layers.
//
//   - Engine (batch.go, over model.go and cache.go) is a pure state machine in
//     virtual time: no goroutine, no clock. Replay drives it directly.
//   - Server (server.go, loop.go) is an http.Handler over one Engine per model;
//     one goroutine, Server.Run, owns all engines and moves them along the
//     process clock, which may be the virtual clock of a synctest bubble.
//
// Start reading at Engine in batch.go, then Server.Run in loop.go.
package sim
