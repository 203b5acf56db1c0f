package upstream

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/suggest"
)

// Quirk is what some models of a provider refuse of what their dialect allows,
// or want spelled in another way. Quirks are data: those of a kind stand in
// quirks_table.go with their sources, those of the config come on top.
type Quirk struct {
	// Models are patterns of model names ("gpt-5*"); none means every model.
	Models []string `yaml:"models"`
	// Dialects are those of the target in which it holds; none means every one.
	Dialects []llm.Dialect `yaml:"dialects"`
	// When restricts what is refused to requests that make the model think:
	// "thinking" holds unless the request asks for the effort none, "asked" only
	// when it asks for another one. Empty holds always.
	When string `yaml:"when"`
	// Refuses are parameters that are left out, unless they say what holds
	// anyway.
	Refuses []string `yaml:"refuses"`
	// Accepts are parameters that are not refused after all.
	Accepts []string `yaml:"accepts"`
	// OneOf are parameters of which the first that is there is kept.
	OneOf []string `yaml:"one_of"`
	// Cap is the name of chat's output cap: max_tokens or max_completion_tokens.
	Cap string `yaml:"cap"`
	// MinTokens is the smallest output cap, MaxStops the most stop sequences.
	MinTokens int `yaml:"min_tokens"`
	MaxStops  int `yaml:"max_stops"`
	// Required is the word for "a tool must be called" in chat: required or any;
	// auto where there is none.
	Required string `yaml:"required"`
	// Instructions is the role in which chat instructions are given: system,
	// developer, or user where there is none.
	Instructions string `yaml:"instructions"`
	// Efforts are the words that reasoning_effort may have; another one becomes
	// the nearest.
	Efforts []string `yaml:"efforts"`
	// Schema are the keywords of JSON Schema that are stripped.
	Schema []string `yaml:"schema"`
}

// The values of Quirk.When.
const (
	whenThinking = "thinking"
	whenAsked    = "asked"
)

func (q *Quirk) validate(at string, report func(path, wrong, right string)) {
	for i, pattern := range q.Models {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			report(fmt.Sprintf("%s.models[%d]", at, i), fmt.Sprintf("%q is not a pattern", pattern), "write a name in which * stands for anything but a slash, such as gpt-5*")
		}
	}
	for i, d := range q.Dialects {
		if !known(d) {
			report(fmt.Sprintf("%s.dialects[%d]", at, i), fmt.Sprintf("there is no dialect %q", d), "use one of "+join(dialects[:]))
		}
	}
	for _, list := range []struct {
		name  string
		words []string
	}{{"refuses", q.Refuses}, {"accepts", q.Accepts}, {"one_of", q.OneOf}} {
		for i, word := range list.words {
			if parameterOf(word) == nil {
				report(fmt.Sprintf("%s.%s[%d]", at, list.name, i), fmt.Sprintf("there is no parameter %q", word),
					"use one of "+strings.Join(parameterNames(), ", ")+suggest.Phrase(suggest.Nearest(word, parameterNames())))
			}
		}
	}
	for i, word := range q.Efforts {
		if _, ok := effortRank[word]; !ok {
			report(fmt.Sprintf("%s.efforts[%d]", at, i), fmt.Sprintf("there is no effort %q", word), "use none, minimal, low, default, medium, high, xhigh or max")
		}
	}
	for _, choice := range []struct {
		name, word string
		words      []string
	}{
		{"when", q.When, []string{whenThinking, whenAsked}},
		{"cap", q.Cap, []string{oldCap, newCap}},
		{"required", q.Required, []string{"required", "any", "auto"}},
		{"instructions", q.Instructions, []string{"system", "developer", "user"}},
	} {
		if choice.word != "" && !slices.Contains(choice.words, choice.word) {
			report(at+"."+choice.name, fmt.Sprintf("%q is not a choice", choice.word), "use "+strings.Join(choice.words, " or "))
		}
	}
	if q.MinTokens < 0 || q.MaxStops < 0 {
		report(at, "a limit of a quirk is negative", "use a whole number from 1, or leave it out")
	}
}

// Quirks are those of one model in one dialect, joined.
type Quirks struct {
	who          string // "gpt-5-mini at OpenAI"
	dialect      llm.Dialect
	refuses      []refusal
	oneOf        [][]string
	cap          string
	minTokens    int
	maxStops     int
	required     string
	instructions string
	efforts      []string
	schema       []string

	names []string // of the outermost members of a body that may have to change
	role  []byte   // the instructions' role that the model does not know, as JSON
}

// refusal is a parameter that is refused, and when.
type refusal struct {
	*parameter
	when string
}

// Quirks joins what is known of a model in a dialect; nil when there is nothing.
// It is asked once for each candidate, when a config is loaded.
func (t *Target) Quirks(model string, d llm.Dialect) *Quirks {
	q := &Quirks{who: model + " at " + t.Kind.Title, dialect: d}
	found := false
	for _, list := range [2][]Quirk{t.Kind.Quirks, t.Config.Quirks} {
		for i := range list {
			if row := &list[i]; row.holds(model, d) {
				q.add(row)
				found = true
			}
		}
	}
	if !found {
		return nil
	}
	q.prepare()
	return q
}

func (q *Quirk) holds(model string, d llm.Dialect) bool {
	if len(q.Dialects) > 0 && !slices.Contains(q.Dialects, d) {
		return false
	}
	return len(q.Models) == 0 || slices.ContainsFunc(q.Models, func(pattern string) bool {
		ok, _ := path.Match(pattern, model) // a bad pattern is refused by validation
		return ok
	})
}

// add puts a row on top of those before it.
func (q *Quirks) add(row *Quirk) {
	for _, name := range slices.Concat(row.Refuses, row.Accepts) {
		q.refuses = slices.DeleteFunc(q.refuses, func(r refusal) bool { return r.name == name })
	}
	for _, name := range row.Refuses {
		q.refuses = append(q.refuses, refusal{parameterOf(name), row.When})
	}
	if len(row.OneOf) > 0 {
		q.oneOf = append(q.oneOf, row.OneOf)
	}
	q.schema = append(q.schema, row.Schema...)
	if len(row.Efforts) > 0 {
		q.efforts = row.Efforts
	}
	for _, f := range []struct{ to, from *string }{{&q.cap, &row.Cap}, {&q.required, &row.Required}, {&q.instructions, &row.Instructions}} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	q.minTokens, q.maxStops = max(q.minTokens, row.MinTokens), max(q.maxStops, row.MaxStops)
}

// holds reports whether something is refused of a request of that effort.
func (r *refusal) holds(effort string) bool {
	switch r.when {
	case whenThinking:
		return effort != "none"
	case whenAsked:
		return effort != "" && effort != "none"
	}
	return true
}

// effortRank orders the words of reasoning_effort.
var effortRank = map[string]int{"none": 0, "minimal": 1, "low": 2, "default": 3, "medium": 3, "high": 4, "xhigh": 5, "max": 6}

// effort is the allowed word nearest to word: of two equally near ones the
// higher, so that thinking is not switched off by the way. It is word itself
// when that is allowed, or a word that nobody knows.
func (q *Quirks) effort(word string) string {
	rank, known := effortRank[word]
	if word == "" || !known || len(q.efforts) == 0 || slices.Contains(q.efforts, word) {
		return word
	}
	best, distance := word, len(effortRank)*2
	for _, have := range q.efforts {
		d := 2*effortRank[have] - 2*rank
		if d < 0 {
			d = 1 - d // a lower one counts as a little further away
		}
		if d < distance {
			best, distance = have, d
		}
	}
	return best
}

// lost is the loss of something that the model does not take.
func (q *Quirks) lost(feature, what string) llm.Loss {
	return llm.Loss{Feature: feature, Detail: q.who + " " + what}
}
