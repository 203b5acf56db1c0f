package complexity

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Set is samples that belong together.
type Set struct {
	Name    string
	Samples []Sample
}

// Data is what was read from a file or folder.
type Data struct {
	Sets []Set
	// HashSeed is that of the outcomes among it, else the one that was given.
	HashSeed uint64
	// Notes say what was left out, and why.
	Notes []string
}

// All are the samples of every set.
func (d *Data) All() (out []Sample) {
	for _, s := range d.Sets {
		out = append(out, s.Samples...)
	}
	return out
}

// Embedding is the model by which more than half of the samples are embedded;
// empty where there is none.
func (d *Data) Embedding() string {
	n, all := map[string]int{}, 0
	for _, s := range d.Sets {
		for i := range s.Samples {
			n[s.Samples[i].Embedding]++
			all++
		}
	}
	for model, of := range n {
		if 2*of > all {
			return model
		}
	}
	return ""
}

// Embed makes the samples alike: those that are not embedded by the model are left
// out; without a model, all are kept and no embedding is. A note says so.
func (d *Data) Embed(model string) {
	dropped, stripped := 0, 0
	for k := range d.Sets {
		s := &d.Sets[k]
		if model != "" {
			n := len(s.Samples)
			s.Samples = slices.DeleteFunc(s.Samples, func(s Sample) bool { return s.Embedding != model })
			dropped += n - len(s.Samples)
			continue
		}
		for i := range s.Samples {
			if v := &s.Samples[i].Vector; v.Embedding != "" {
				v.Meaning, v.Embedding = nil, ""
				stripped++
			}
		}
	}
	if dropped > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d prompts are left out: they have no embedding of %s", dropped, model))
	}
	if stripped > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("the embeddings of %d prompts are left out", stripped))
	}
}

// From is where data is read from, and what for.
type From struct {
	Path         string // a file or a folder
	Weak, Strong string // the two models, as the data calls them
	// HashSeed is for prompts in text, where no log of outcomes is with them: its
	// own seed goes before.
	HashSeed uint64
}

// Read reads prompts with what two models made of them: from a file or a
// folder, whose folders are sets with a group for each file, and whose other
// files are sets of their own:
//
//   - CSV with a column `prompt` and one for each model, true or false or a
//     number from 0 to 1 (RouteLLM's published results are so);
//   - JSONL with the same members;
//   - JSONL of the log of outcomes.
//
// Prompts that a file NAME_contaminated_prompts.jsonl names are left out of the
// set NAME.
func Read(from From) (*Data, error) {
	r := &reading{weak: from.Weak, strong: from.Strong, data: &Data{HashSeed: from.HashSeed}, contaminated: map[string]map[string]bool{}}
	files, err := r.files(from.Path)
	if err != nil {
		return nil, err
	}
	if err := r.logs(files); err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := r.file(f); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
	}
	if err := r.settle(); err != nil {
		return nil, err
	}
	return r.data, nil
}

// found is a file with the set and group that its samples belong to.
type found struct {
	path, set, group string
	log              bool
}

type reading struct {
	weak, strong string
	data         *Data
	seeded       bool
	extractor    Extractor
	contaminated map[string]map[string]bool // by set
	outcomes     []Outcome
}

const contaminatedSuffix = "_contaminated_prompts.jsonl"

func (r *reading) note(format string, args ...any) {
	r.data.Notes = append(r.data.Notes, fmt.Sprintf(format, args...))
}

// files lists what there is, and reads the names of contaminated prompts.
func (r *reading) files(path string) (out []found, err error) {
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		base := filepath.Base(name)
		set, contaminated := strings.CutSuffix(base, contaminatedSuffix)
		if contaminated {
			if r.contaminated[set], err = contaminatedIn(name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}
		group := strings.TrimSuffix(base, filepath.Ext(base))
		set = group
		if dir := filepath.Dir(name); name != path && filepath.Clean(dir) != filepath.Clean(path) {
			set = filepath.Base(dir)
		}
		if ext := filepath.Ext(base); ext == ".csv" || ext == ".jsonl" {
			out = append(out, found{path: name, set: strings.TrimSuffix(set, "_responses"), group: group})
		}
		return nil
	})
	return out, err
}

func contaminatedIn(path string) (map[string]bool, error) {
	out := map[string]bool{}
	err := eachLine(path, func(line []byte) error {
		var l struct {
			Prompt string `json:"eval_prompt"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		out[l.Prompt] = true
		return nil
	})
	return out, err
}

// logs reads the files of outcomes first: other prompts are hashed as theirs.
func (r *reading) logs(files []found) error {
	for i, f := range files {
		if filepath.Ext(f.path) != ".jsonl" {
			continue
		}
		file, err := os.Open(f.path)
		if err != nil {
			return err
		}
		seed, list, bad, err := ReadOutcomes(file)
		_ = file.Close() // it was read
		if errors.Is(err, ErrNoOutcomes) || errors.Is(err, bufio.ErrTooLong) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if r.seeded && seed != r.data.HashSeed {
			return fmt.Errorf("%s: its words are hashed under another seed than those of the files before; train on logs of one gateway at a time", f.path)
		}
		if bad > 0 {
			r.note("%s: %d lines could not be read", f.path, bad)
		}
		files[i].log, r.data.HashSeed, r.seeded = true, seed, true
		r.outcomes = append(r.outcomes, list...)
	}
	if r.outcomes != nil {
		samples := Gather(r.outcomes, r.weak, r.strong)
		r.note("outcomes: %d of %s and %s, of %d prompts", len(r.outcomes), r.weak, r.strong, len(samples))
		r.data.Sets = append(r.data.Sets, Set{"outcomes", samples})
	}
	return nil
}

func (r *reading) file(f found) error {
	switch {
	case f.log:
		return nil
	case filepath.Ext(f.path) == ".csv":
		return r.csv(f)
	}
	return r.jsonl(f)
}

func (r *reading) csv(f found) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	in := csv.NewReader(file)
	in.ReuseRecord = true
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	head = slices.Clone(head)
	at := func(name string) int { return slices.Index(head, name) }
	prompt, weak, strong := at("prompt"), at(r.weak), at(r.strong)
	if prompt < 0 || weak < 0 || strong < 0 {
		r.note("%s is left out: it has no columns prompt, %s and %s, but %s", f.path, r.weak, r.strong, clip(strings.Join(head, ", "), 300))
		return nil
	}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		w, wrongWeak := good(row[weak])
		s, wrongStrong := good(row[strong])
		if err := errors.Join(wrongWeak, wrongStrong); err != nil {
			return err
		}
		r.add(f, row[prompt], w, s)
	}
}

// good reads how good an answer was; nothing is not known.
func good(text string) (float32, error) {
	switch strings.ToLower(text) {
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	case "", "null":
		return float32(math.NaN()), nil
	}
	x, err := strconv.ParseFloat(text, 32)
	if err != nil || !isShare(x) {
		return 0, fmt.Errorf("%q is neither true, false nor a number from 0 to 1", clip(text, 40))
	}
	return float32(x), nil
}

func (r *reading) jsonl(f found) error {
	other := 0
	err := eachLine(f.path, func(line []byte) error {
		var l map[string]json.RawMessage
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		var prompt string
		if json.Unmarshal(l["prompt"], &prompt) != nil || (l[r.weak] == nil && l[r.strong] == nil) {
			other++
			return nil
		}
		w, wrongWeak := good(string(l[r.weak]))
		s, wrongStrong := good(string(l[r.strong]))
		if err := errors.Join(wrongWeak, wrongStrong); err != nil {
			return err
		}
		r.add(f, prompt, w, s)
		return nil
	})
	if other > 0 {
		r.note("%s: %d lines are left out: they have no members prompt, %s and %s", f.path, other, r.weak, r.strong)
	}
	return err
}

// eachLine calls a function with each line that is not empty.
func eachLine(path string, each func([]byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := each(lines.Bytes()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func (r *reading) add(f found, prompt string, weak, strong float32) {
	if r.contaminated[f.set][prompt] {
		r.note("%s: a contaminated prompt is left out", f.set)
		return
	}
	i := slices.IndexFunc(r.data.Sets, func(s Set) bool { return s.Name == f.set })
	if i < 0 {
		i = len(r.data.Sets)
		r.data.Sets = append(r.data.Sets, Set{Name: f.set})
	}
	v := r.extractor.Extract(r.data.HashSeed, prompt).Clone()
	r.data.Sets[i].Samples = append(r.data.Sets[i].Samples, Sample{Vector: v, Weak: weak, Strong: strong, Group: f.group})
}

// settle puts equal notes together and refuses data without samples.
func (r *reading) settle() error {
	var notes []string
	count := map[string]int{}
	for _, n := range r.data.Notes {
		if count[n]++; count[n] == 1 {
			notes = append(notes, n)
		}
	}
	for i, n := range notes {
		if count[n] > 1 {
			notes[i] = fmt.Sprintf("%s (%d times)", n, count[n])
		}
	}
	r.data.Notes = notes
	for _, s := range r.data.Sets {
		if len(s.Samples) > 0 {
			return nil
		}
	}
	return errors.New(strings.Join(append([]string{fmt.Sprintf("there is no prompt with an outcome of %s or %s", r.weak, r.strong)}, notes...), "; "))
}
