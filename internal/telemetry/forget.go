package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Forget drops the series of a target that is gone, so that replicas that come
// and go do not add up.
func (m *Metrics) Forget(upstream string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.upstreams, upstream)
	at := prometheus.Labels{"upstream": upstream}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.attempts, m.upstreamTTFT, m.upstreamBusy, m.spills, m.credentialParked, m.credentialFailed,
		m.looks.scrapes, m.looks.refused, m.looks.probes, m.looks.identities, m.looks.restarts,
	} {
		v.DeletePartialMatch(at)
	}
	m.fallbacks.DeletePartialMatch(prometheus.Labels{"from": upstream})
	m.fallbacks.DeletePartialMatch(prometheus.Labels{"to": upstream})
}
