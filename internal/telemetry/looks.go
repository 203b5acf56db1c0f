package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Looks are the counters of what looking at targets brings; package watch counts
// by them.
type Looks struct {
	scrapes, refused, probes, identities, restarts *prometheus.CounterVec
}

// Looks are the counters of the process.
func (m *Metrics) Looks() *Looks { return m.looks }

// newLooks registers them.
func newLooks(counter func(name, help string, labels ...string) *prometheus.CounterVec) *Looks {
	return &Looks{
		scrapes:    counter("engine_scrape_failures_total", "Looks at an engine's metrics that brought none.", "upstream", "reason"),
		refused:    counter("engine_signal_refused_total", "Values of an engine's metrics that cannot be true.", "upstream", "signal"),
		probes:     counter("target_probes_total", "Health checks of targets.", "upstream", "tier", "result"),
		identities: counter("model_identity_changes_total", "Times that a target was found to serve another model under a name.", "upstream"),
		restarts:   counter("engine_restarts_total", "Times that a target's engine was found to have been started anew, with an empty prefix cache.", "upstream"),
	}
}

// ScrapeFailed counts a look that brought nothing.
func (l *Looks) ScrapeFailed(target, reason string) { l.scrapes.WithLabelValues(target, reason).Inc() }

// SignalRefused counts a value that cannot be true.
func (l *Looks) SignalRefused(target, signal string) {
	l.refused.WithLabelValues(target, signal).Inc()
}

// Probed counts a health check.
func (l *Looks) Probed(target, tier, result string) {
	l.probes.WithLabelValues(target, tier, result).Inc()
}

// IdentityChanged counts another model under a name.
func (l *Looks) IdentityChanged(target string) { l.identities.WithLabelValues(target).Inc() }

// Restarted counts an engine that was started anew.
func (l *Looks) Restarted(target string) { l.restarts.WithLabelValues(target).Inc() }
