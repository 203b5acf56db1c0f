package telemetry

// Guards registers what guards of trained models think of the traffic: 1 for each
// model with complexity, the labels say what, and the drift of the figure that
// drifts most.
func (m *Metrics) Guards(read func(emit func(model, verdict, figure string, psi float64))) {
	m.Watch("complexity_guard", "Always 1; the label says what the guard of a model thinks of its traffic.", []string{"model", "verdict"}, func(emit func(float64, ...string)) {
		read(func(model, verdict, _ string, _ float64) { emit(1, model, verdict) })
	})
	m.Watch("complexity_drift", "Population stability index of the figure that is least like the training.", []string{"model", "figure"}, func(emit func(float64, ...string)) {
		read(func(model, _, figure string, psi float64) {
			if figure != "" {
				emit(psi, model, figure)
			}
		})
	})
}

// OutcomeLog registers what became of outcomes, and of the requests that wait
// for theirs, since the start.
func (m *Metrics) OutcomeLog(read func(emit func(what string, n int64))) {
	m.Watch("outcome_log", "What became of outcomes and of requests that waited for theirs, since the start.", []string{"what"}, func(emit func(float64, ...string)) {
		read(func(what string, n int64) { emit(float64(n), what) })
	})
}
