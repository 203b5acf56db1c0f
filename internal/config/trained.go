package config

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"tailplane/internal/complexity"
)

// FileError says that a file which the config names cannot be used, and where it
// is named.
type FileError struct {
	Path string // in the config
	Err  error
}

func (e *FileError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Trained reads the trained models of names with complexity, by name. Those that
// name one file share one model.
func (f *File) Trained() (map[string]*complexity.Model, *FileError) {
	out, read := map[string]*complexity.Model{}, map[string]*complexity.Model{}
	for _, name := range slices.Sorted(maps.Keys(f.Models)) {
		c := f.Models[name].Complexity
		if c == nil {
			continue
		}
		m, known := read[c.File]
		if !known {
			var err error
			if m, err = trained(c.File); err != nil {
				return nil, &FileError{"models." + name + ".complexity.file", err}
			}
			read[c.File] = m
		}
		out[name] = m
	}
	return out, nil
}

// trained reads one file, and no more of it than a model can have.
func trained(path string) (*complexity.Model, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the trained model cannot be read: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, complexity.MostFile+1))
	if err != nil {
		return nil, fmt.Errorf("the trained model cannot be read: %w", err)
	}
	m, err := complexity.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
