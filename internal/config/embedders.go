package config

import (
	"fmt"
	"maps"
	"slices"
)

// embedders reports embeddings that are asked of targets that have none, or that may
// not see the requests.
func (f *File) embedders(targets []string, report func(path, wrong, right string)) {
	c := f.ModelConfig()
	for _, name := range slices.Sorted(maps.Keys(f.Models)) {
		for _, e := range c.Embedders(name, targets) {
			t := f.Targets[e.Target]
			for _, label := range f.Models[name].Require {
				if !slices.Contains(t.Labels, label) {
					report("models."+name+".embeddings.from", fmt.Sprintf("target %q, which would see the requests, is not labelled %s, as the model requires", e.Target, label), "name a target with the label")
				}
			}
			if !t.Embeds(e.Model) {
				report("models."+name+".embeddings.from", fmt.Sprintf("%s of target %q (kind %s) makes no embeddings", e.Model, e.Target, t.Kind), "name an embedding model")
			}
		}
	}
}
