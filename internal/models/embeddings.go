package models

import (
	"fmt"
	"time"

	"tailplane/internal/complexity"
)

// Embeddings say who embeds the texts of a model's requests. In the file it is a
// bare string, or {from: ..., timeout: ..., max_bytes: ...}.
type Embeddings struct {
	From string `yaml:"from"` // "target/model", or the name of a model
	// Timeout is for the whole question; zero is [DefaultEmbeddingTimeout].
	Timeout time.Duration `yaml:"timeout"`
	// MaxBytes is how much of a text is sent, half of it from each end; zero is
	// complexity.MostText, the most there is.
	MaxBytes int `yaml:"max_bytes"`
}

// DefaultEmbeddingTimeout is what a request waits at most for its embedding.
const DefaultEmbeddingTimeout = 300 * time.Millisecond

// What an embedding's timeout and text are bounded by.
const (
	longestEmbedding = 10 * time.Second
	leastExcerpt     = 64
)

// UnmarshalText reads the bare form.
func (e *Embeddings) UnmarshalText(text []byte) error {
	e.From = string(text)
	return nil
}

func (e Embeddings) orDefault() Embeddings {
	if e.From == "" {
		return e
	}
	if e.Timeout == 0 {
		e.Timeout = DefaultEmbeddingTimeout
	}
	if e.MaxBytes == 0 {
		e.MaxBytes = complexity.MostText
	}
	return e
}

// validateEmbeddings reports what is wrong with the embeddings of a model.
func (c Config) validateEmbeddings(path, name string, targets []string, report func(path, wrong, right string)) {
	m := c.Models[name]
	e := m.Embeddings
	if e == (Embeddings{}) {
		return
	}
	if m.Complexity == nil && !m.Outcomes {
		report(path, "nothing looks at the embeddings of this model's requests", "add complexity or `outcomes: true`, or leave it out")
	}
	switch other, known := c.Models[e.From]; {
	case e.From == "":
		report(path+".from", "nobody is named who embeds", "write `from: TARGET/MODEL`")
	case e.From == name:
		report(path+".from", "the model cannot embed its own requests", "name an embedding model: TARGET/MODEL")
	case known && (other.Complexity != nil || other.Embeddings.From != ""):
		report(path+".from", fmt.Sprintf("%q answers conversations", e.From), "name an embedding model: TARGET/MODEL")
	default:
		c.validateReference(path+".from", e.From, targets, report)
	}
	if e.Timeout < 0 || e.Timeout > longestEmbedding {
		report(path+".timeout", fmt.Sprintf("%v is out of range", e.Timeout), fmt.Sprintf("use 1ms to %v", longestEmbedding))
	}
	if e.MaxBytes != 0 && (e.MaxBytes < leastExcerpt || e.MaxBytes > complexity.MostText) {
		report(path+".max_bytes", fmt.Sprintf("%d is out of range", e.MaxBytes), fmt.Sprintf("use %d to %d", leastExcerpt, complexity.MostText))
	}
}

// Embedders are the candidates that may embed the requests of a name; none where
// nobody does.
func (c Config) Embedders(name string, targets []string) []Candidate {
	from := c.Models[name].Embeddings.From
	if from == "" {
		return nil
	}
	w := walk{config: c, targets: targets, left: mostSteps}
	return w.step(Step{To: from}, 0)
}
