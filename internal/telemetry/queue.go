package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Queue are the handles of what waits for a model.
type Queue struct {
	name    string
	m       *Metrics
	Wait    prometheus.Observer
	refused *prometheus.CounterVec
}

// Queue returns the handles of the queue of a model of the config.
func (m *Metrics) Queue(name string) *Queue {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h, ok := m.queues[name]; ok {
		return h
	}
	h := &Queue{name: name, m: m, Wait: m.queueWait.WithLabelValues(name), refused: m.queueRefused}
	m.queues[name] = h
	return h
}

// Refused counts a request that was not let through.
func (h *Queue) Refused(band, reason string) { h.refused.WithLabelValues(h.name, band, reason).Inc() }

// WatchQueues registers what is read of the queues when somebody looks. Each is
// called with what takes the figures.
func (m *Metrics) WatchQueues(waiting func(emit func(n int, model, band string)), saturation func(emit func(seconds float64, model string))) {
	m.Watch("queue_waiting", "Requests that wait for a replica with room.", []string{"model", "band"}, func(emit func(float64, ...string)) {
		waiting(func(n int, model, band string) { emit(float64(n), model, band) })
	})
	m.Watch("saturation_seconds", "How long a request would wait until a replica begins with it, did it come now.", []string{"model"}, func(emit func(float64, ...string)) {
		saturation(func(seconds float64, model string) { emit(seconds, model) })
	})
}
