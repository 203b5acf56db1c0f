package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tailplane/internal/models"
)

// published reports policies that need what none of their targets publishes: they
// would rank by nothing, and look as if they worked.
func (f *File) published(report func(path, wrong, right string)) {
	for _, name := range slices.Sorted(maps.Keys(f.Models)) {
		f.publish("models."+name+".policy", f.Models[name].Policy, f.targetsOf(f.Models[name]), report)
	}
}

func (f *File) publish(path string, p models.Policy, targets []string, report func(path, wrong, right string)) {
	need := p.Needs()
	if need == 0 || len(targets) == 0 {
		return
	}
	missing := need
	for _, name := range targets {
		t := f.Targets[name]
		if e := t.Watch.EngineOf(t.Kind); e != nil && e.Metrics != "" {
			missing &^= e.Publishes()
		}
	}
	if missing != 0 {
		report(path, fmt.Sprintf("%s needs what none of the targets publishes: %s", p.Name, strings.Join(missing.Names(), ", ")),
			"use auto, which does without, or targets with metrics, such as kind: vllm")
	}
}

// targetsOf are the targets that a model names itself, and its policy is for.
func (f *File) targetsOf(m models.Model) []string {
	out := slices.Clone(m.Pool)
	if m.Prefill != nil {
		out = slices.Clone(m.Prefill.Pool)
	}
	for _, step := range m.Route {
		for i, r := range step.To { // names of targets may have slashes, too
			if r == '/' {
				out = append(out, step.To[:i])
			}
		}
	}
	return slices.DeleteFunc(out, func(name string) bool { _, there := f.Targets[name]; return !there })
}
