package app

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"tailplane/internal/complexity"
	"tailplane/internal/config"
	"tailplane/internal/gateway"
)

// routers decide for the models of a file that have complexity. What the guard of
// a router before has seen is kept while its trained model is the same.
func (s *Server) routers(f *config.File) (map[string]*complexity.Router, error) {
	trained, failed := f.Trained()
	if failed != nil {
		return nil, fmt.Errorf("%s: %w", failed.Path, failed.Err)
	}
	s.sameModels(trained)
	out := map[string]*complexity.Router{}
	for name, m := range trained {
		out[name] = complexity.NewRouter(*f.Models[name].Complexity, m, s.parts.Routers[name])
		for _, w := range out[name].Warnings(embeddedBy(f, name)) {
			s.log.Warn(w, "model", name)
		}
	}
	s.trained = trained
	return out, nil
}

// embeddedBy are the models, as their targets call them, that embed the requests of
// a name.
func embeddedBy(f *config.File, name string) (out []string) {
	for _, c := range f.ModelConfig().Embedders(name, slices.Collect(maps.Keys(f.Targets))) {
		out = append(out, c.Model)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sameModels puts those that are in use in the place of new ones with the same
// content: a guard belongs to a model, and not to a reading of its file.
func (s *Server) sameModels(trained map[string]*complexity.Model) {
	for name, m := range trained {
		if old := s.trained[name]; old != nil && bytes.Equal(old.Encode(), m.Encode()) {
			trained[name] = old
		}
	}
}

// openLearning opens the log of outcomes in the state directory; without one
// answers cannot be judged.
func (s *Server) openLearning(dir string) (err error) {
	if dir != "" {
		var seed [8]byte
		_, _ = rand.Read(seed[:]) // never fails (crypto/rand)
		if s.outcomes, err = complexity.OpenOutcomes(filepath.Join(dir, "outcomes"), complexity.DefaultBounds(), binary.LittleEndian.Uint64(seed[:])); err != nil {
			return err
		}
	}
	s.learning = gateway.NewLearning(s.outcomes)
	return nil
}

// closeLearning writes what was learned to the disk.
func (s *Server) closeLearning() error {
	if s.outcomes == nil {
		return nil
	}
	return s.outcomes.Close()
}

// showLearning registers the figures of guards and of outcomes.
func (s *Server) showLearning() {
	s.metrics.Guards(func(emit func(model, verdict, figure string, psi float64)) {
		for name, r := range s.gateway.Plane().Routers() {
			sight := r.Sight()
			emit(name, string(sight.Verdict), sight.Figure, sight.PSI)
		}
	})
	if s.outcomes != nil {
		s.metrics.OutcomeLog(func(emit func(what string, n int64)) {
			stats := s.outcomes.Stats()
			lost, found := s.learning.Counts()
			emit("added", stats.Added)
			emit("failed", stats.Failed)
			emit("files_removed", stats.Removed)
			emit("bytes_torn", stats.Torn)
			emit("requests_forgotten", lost)
			emit("requests_found", found)
		})
	}
}
