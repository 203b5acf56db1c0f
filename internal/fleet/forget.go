package fleet

// Forget drops the state of a target that nothing leads to any more, and reports
// whether it did: one that still has requests keeps its state. Who has asked for
// it before goes on with what it got.
func (f *Fleet) Forget(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.targets[name]
	if ok && t.inFlight.Load() > 0 {
		return false
	}
	delete(f.targets, name)
	return true
}
