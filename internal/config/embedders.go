package config

import (
	"fmt"
	"maps"
	"slices"
)

// embedders reports embeddings that are asked of targets that have none.
func (f *File) embedders(targets []string, report func(path, wrong, right string)) {
	c := f.ModelConfig()
	for _, name := range slices.Sorted(maps.Keys(f.Models)) {
		for _, e := range c.Embedders(name, targets) {
			if t := f.Targets[e.Target]; !t.Embeds(e.Model) {
				report("models."+name+".embeddings.from", fmt.Sprintf("%s of target %q (kind %s) makes no embeddings", e.Model, e.Target, t.Kind), "name an embedding model")
			}
		}
	}
}
