package config

import (
	"fmt"
	"maps"
	"slices"

	"tailplane/internal/models"
)

// paired reports engines that could not find each other: with P2pNcclConnector the
// request's id names the port of both.
func (f *File) paired(report func(path, wrong, right string)) {
	for _, name := range slices.Sorted(maps.Keys(f.Models)) {
		m := f.Models[name]
		if m.Prefill == nil || m.Prefill.Convention != models.ConventionP2P {
			continue
		}
		for i, target := range m.Prefill.Pool {
			f.named(fmt.Sprintf("models.%s.prefill.pool[%d]", name, i), target, report)
		}
		for i, target := range m.Pool {
			f.named(fmt.Sprintf("models.%s.pool[%d]", name, i), target, report)
		}
	}
}

// named reports a target whose KV connector nobody knows the port of.
func (f *File) named(path, target string, report func(path, wrong, right string)) {
	if t, ok := f.Targets[target]; ok && t.KVPort == 0 {
		report(path, fmt.Sprintf("%s needs the port of target %q's KV connector", models.ConventionP2P, target), "add `kv_port: PORT` to the target, as in its engine's --kv-transfer-config")
	}
}
