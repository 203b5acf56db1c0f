package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Watch registers gauges that are read when somebody looks, for figures that
// come and go: read calls emit for each that there is now, with its label values
// in the order of labels.
func (m *Metrics) Watch(name, help string, labels []string, read func(emit func(value float64, values ...string))) {
	m.registry.MustRegister(&watch{prometheus.NewDesc("tailplane_"+name, help, labels, nil), prometheus.GaugeValue, read})
}

// Total is Watch for figures that only grow.
func (m *Metrics) Total(name, help string, labels []string, read func(emit func(value float64, values ...string))) {
	m.registry.MustRegister(&watch{prometheus.NewDesc("tailplane_"+name, help, labels, nil), prometheus.CounterValue, read})
}

// watch is a prometheus.Collector.
type watch struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(emit func(value float64, values ...string))
}

func (w *watch) Describe(to chan<- *prometheus.Desc) { to <- w.desc }

func (w *watch) Collect(to chan<- prometheus.Metric) {
	w.read(func(value float64, values ...string) {
		to <- prometheus.MustNewConstMetric(w.desc, w.kind, value, values...)
	})
}
