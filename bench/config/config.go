// Package config holds the configuration of every system that the benchmark
// starts, as text templates. One Values fills them all; nothing here knows what
// a setting means. Start reading at the templates.
package config

import (
	"embed"
	"fmt"
	"os"
	"text/template"
)

//go:embed *.tmpl
var files embed.FS

// Values is what the templates may name. Ports are on 127.0.0.1.
type Values struct {
	Port, Admin, Mock int
	Dir               string   // an empty directory of this one system
	Root              bool     // the benchmark runs as root
	Models            []string // upstream names of the spliced route, without prefix
	Translated        []string // of the translated route
}

// Write fills the template name and writes it to path.
func Write(name, path string, v Values) error {
	t, err := template.ParseFS(files, name)
	if err != nil {
		return fmt.Errorf("read template %s: %w", name, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := t.Execute(f, v); err != nil {
		_ = f.Close()
		return fmt.Errorf("fill template %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
