package app

import (
	"tailplane/internal/engine"
	"tailplane/internal/fleet"
)

// signalGauges are the figures of engines that are shown.
var signalGauges = []struct {
	name, help string
	signal     engine.Signal
	value      func(s *fleet.Signals) float64
}{
	{"engine_running", "Requests in the batch of a target's engine.", engine.SignalRunning, func(s *fleet.Signals) float64 { return s.Running }},
	{"engine_waiting", "Requests that wait for room in it.", engine.SignalWaiting, func(s *fleet.Signals) float64 { return s.Waiting }},
	{"engine_kv_usage_ratio", "Share of its KV cache that is in use.", engine.SignalKVUsage, func(s *fleet.Signals) float64 { return s.KVUsage }},
	{"engine_kv_tokens", "Tokens that its KV cache holds.", engine.SignalKVTokens, func(s *fleet.Signals) float64 { return s.KVTokens }},
	{"engine_prefix_hit_ratio", "Share of prompt tokens that it found in its prefix cache, since its start.", engine.SignalPrefixCache, func(s *fleet.Signals) float64 { return s.PrefixHit }},
	{"engine_adapters", "LoRA adapters that are loaded.", engine.SignalAdapters, func(s *fleet.Signals) float64 { return float64(len(s.Adapters)) }},
}
