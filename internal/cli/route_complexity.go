package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tailplane/internal/complexity"
)

func routeTrain() *cobra.Command {
	cmd := &cobra.Command{
		Use: "train", Short: "Train which requests need the strong model of two", Args: args(cobra.NoArgs),
		Example: "  tailplane route train --data ~/.local/state/tailplane/outcomes --weak small --strong large -O model.tpc\n  tailplane route train --data results.csv --weak small --strong large -O model.tpc --seed 7",
		Long: "Learn from outcomes which requests the weak model answers as well as the strong one. --data is a file or a folder:\n" +
			"the gateway's log of outcomes, or CSV or JSONL with `prompt` and one column for each model, true, false or 0 to 1.\n" +
			"The model holds no prompts, only weights of hashed words. Train on the traffic that is to be routed: elsewhere\n" +
			"a model is worth no more than chance. A FILE that is there is not written over.",
	}
	f := cmd.Flags()
	data := dataFlags(cmd)
	out := f.StringP("output-file", "O", "", "file to write the model to")
	seed := f.Uint64("seed", 1, "decides the order of the training; the same seed and data make the same model")
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *out == "" {
			return &Error{ExitUsage, "--output-file is missing", "write -O model.tpc"}
		}
		read, err := data.read(0)
		if err != nil {
			return err
		}
		data.embed(read, nil)
		notes(cmd, read.Notes)
		m, err := complexity.Train(cmd.Context(), complexity.Training{
			Weak: data.weak, Strong: data.strong, Source: sourceOf(read), HashSeed: read.HashSeed, Samples: read.All(), Seed: *seed,
		})
		if errors.Is(err, complexity.ErrTooFew) {
			return &Error{ExitProblem, err.Error(), "let a weighted route send some requests to each of the two, and collect feedback"}
		}
		if err != nil {
			return err
		}
		file := m.Encode()
		if err := writeFile(*out, func(w io.Writer) error { _, err := w.Write(file); return err }); err != nil {
			return err
		}
		result := trainedModel{
			File: *out, Bytes: len(file), Weak: m.Weak, Strong: m.Strong, Embedding: m.Embedding, Prompts: m.Samples, Source: m.Source,
			Promises: m.Promises(),
		}
		return emit(cmd, format, result, result.table)
	}
	return cmd
}

// trainedModel is what `route train` says.
type trainedModel struct {
	File   string `json:"file"`
	Bytes  int    `json:"bytes"`
	Weak   string `json:"weak"`
	Strong string `json:"strong"`
	// Embedding is the model whose embeddings it wants; empty if none.
	Embedding string               `json:"embedding,omitempty"`
	Prompts   int                  `json:"prompts"`
	Source    string               `json:"source"`
	Promises  []complexity.Promise `json:"promises"`
}

func (t trainedModel) table(w io.Writer) error {
	p := &printer{w: w}
	p.line("%s: %d prompts of %s, %.0f KB", t.File, t.Prompts, t.Source, float64(t.Bytes)/1e3)
	p.line("weak   %s", t.Weak)
	p.line("strong %s", t.Strong)
	if t.Embedding != "" {
		p.line("with embeddings of %s: without them the strong model gets everything", t.Embedding)
	}
	p.line("")
	var rows [][]string
	for _, x := range t.Promises {
		gets := "nothing: too few outcomes, or too bad ones"
		if x.Proven {
			gets = fmt.Sprintf("%.0f%% of requests", x.WeakShare*100)
		}
		rows = append(rows, []string{fmt.Sprint(x.Floor), gets})
	}
	if p.err != nil {
		return p.err
	}
	if err := columns(w, []string{"FLOOR", "THE WEAK MODEL GETS"}, rows); err != nil {
		return err
	}
	p.line("")
	p.line("This holds for traffic like that of the training alone; `tailplane route eval` measures.")
	return p.err
}

func routeEval() *cobra.Command {
	cmd := &cobra.Command{
		Use: "eval", Short: "Measure how well the need of the strong model is told", Args: args(cobra.NoArgs),
		Example: "  tailplane route eval --data results/ --weak small --strong large --leave-subject-out\n  tailplane route eval --data results/ --model model.tpc -o json",
		Long: "Measure by RouteLLM's protocol, on prompts that both models answered: APGR is the share of the gap between the two\n" +
			"that is recovered on average (chance: 0.5), CPT50 and CPT80 the percentage of calls to the strong model that recover\n" +
			"50% and 80% of it (chance: 50 and 80). Without --model, models are trained on parts of the data and tested on the\n" +
			"others, and each set of prompts is tested by a model of each other set. With it, that model is tested as it is.",
	}
	f := cmd.Flags()
	data := dataFlags(cmd)
	model := f.String("model", "", "test this model; the names of the two models are its own")
	folds := f.Int("folds", 5, "parts that the prompts are divided into, each tested by a model of the others")
	seeds := f.Int("seeds", 3, "how often the parts are drawn")
	seed := f.Uint64("seed", 1, "the first of them")
	leave := f.Bool("leave-subject-out", false, "also test each file of a folder by a model of the other files")
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *folds < 2 || *folds > 100 || *seeds < 1 || *seeds > 100 {
			return &Error{ExitUsage, "--folds goes from 2 to 100, --seeds from 1 to 100", ""}
		}
		var m *complexity.Model
		var hashSeed uint64
		if *model != "" {
			var err error
			if m, err = readModel(*model); err != nil {
				return err
			}
			data.weak, data.strong, hashSeed = m.Weak, m.Strong, m.Seed
		}
		read, err := data.read(hashSeed)
		if err != nil {
			return err
		}
		data.embed(read, m)
		notes(cmd, read.Notes)
		report, err := measured(cmd, m, read, complexity.Plan{Folds: *folds, Seeds: *seeds, Seed: *seed, LeaveGroupOut: *leave})
		if errors.Is(err, complexity.ErrNoGap) {
			return &Error{ExitProblem, err.Error(), "there is nothing to route: the weak model will do"}
		}
		if err != nil {
			return err
		}
		if len(report.Tests) == 0 {
			notes(cmd, report.Notes)
			return &Error{ExitProblem, "there is nothing to measure", "the protocol compares what two models made of the same prompts; have a judge score both on some"}
		}
		out := struct {
			complexity.Report
			Warning string `json:"warning,omitempty"`
		}{report, report.InDomain()}
		return emit(cmd, format, out, func(w io.Writer) error { return reportTable(w, report) })
	}
	return cmd
}

// measured trains and tests, or tests a model.
func measured(cmd *cobra.Command, m *complexity.Model, read *complexity.Data, plan complexity.Plan) (r complexity.Report, err error) {
	if m == nil {
		return complexity.Measure(cmd.Context(), read.Sets, plan)
	}
	if m.Seed != read.HashSeed {
		return r, &Error{ExitUsage, "the words of the data are hashed under another seed than the model's", "test it on prompts in text, or on the log that it was trained on"}
	}
	return m.Measure(read.Sets, plan.Seed)
}

// dataSource is where outcomes are read from, and of which models.
type dataSource struct {
	path, weak, strong string
	plain              bool // without embeddings
}

func dataFlags(cmd *cobra.Command) *dataSource {
	var d dataSource
	cmd.Flags().StringVar(&d.path, "data", "", "file or folder of outcomes")
	cmd.Flags().StringVar(&d.weak, "weak", "", "the weak model, as the data calls it")
	cmd.Flags().StringVar(&d.strong, "strong", "", "the strong model, as the data calls it")
	cmd.Flags().BoolVar(&d.plain, "no-embeddings", false, "leave out the embeddings that outcomes have; else those of the model that most of them have count, where it is more than half")
	return &d
}

// embed makes the data alike in its embeddings: as a trained model wants them, or as
// most of them are.
func (d *dataSource) embed(read *complexity.Data, m *complexity.Model) {
	model := read.Embedding()
	switch {
	case m != nil:
		model = m.Embedding
	case d.plain:
		model = ""
	}
	read.Embed(model)
}

func (d *dataSource) read(hashSeed uint64) (*complexity.Data, error) {
	for _, flag := range []struct{ name, value string }{{"data", d.path}, {"weak", d.weak}, {"strong", d.strong}} {
		if flag.value == "" {
			return nil, &Error{ExitUsage, "--" + flag.name + " is missing", "write --data DIR --weak MODEL --strong MODEL"}
		}
	}
	read, err := complexity.Read(complexity.From{Path: d.path, Weak: d.weak, Strong: d.strong, HashSeed: hashSeed})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{ExitNotFound, d.path + " is not there", ""}
	}
	if err != nil {
		return nil, &Error{ExitUsage, err.Error(), "docs/guides/complexity.md has the forms of data"}
	}
	return read, nil
}

func readModel(path string) (*complexity.Model, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{ExitNotFound, path + " is not there", "`tailplane route train` makes one"}
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, complexity.MostFile+1))
	if err != nil {
		return nil, err
	}
	m, err := complexity.Decode(text)
	if err != nil {
		return nil, &Error{ExitUsage, fmt.Sprintf("%s: %v", path, err), "`tailplane route train` makes one"}
	}
	return m, nil
}

// sourceOf names the sets that a model is trained on.
func sourceOf(d *complexity.Data) string {
	var names []string
	for _, s := range d.Sets {
		names = append(names, fmt.Sprintf("%s (%d)", s.Name, len(s.Samples)))
	}
	return strings.Join(names, ", ")
}

// notes go beside the data.
func notes(cmd *cobra.Command, list []string) {
	for _, n := range list {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "note: "+n)
	}
}

func reportTable(w io.Writer, r complexity.Report) error {
	var rows [][]string
	for _, t := range r.Tests {
		apgr := fmt.Sprintf("%.3f", t.Curve.APGR)
		if t.Seeds > 1 {
			apgr += fmt.Sprintf(" (%.3f to %.3f)", t.Low, t.High)
		}
		guard, inDomain := "-", "no"
		if t.InDomain {
			inDomain = "yes"
		}
		if g := t.Guarded; g != nil {
			guard = fmt.Sprintf("%d off, %d same; lift %+.3f", g.Off, g.Same, g.Lift)
		}
		rows = append(rows, []string{
			t.Set, t.Split, inDomain, fmt.Sprint(t.Curve.Prompts), fmt.Sprintf("%.1f%%", t.Curve.Weak*100), fmt.Sprintf("%.1f%%", t.Curve.Strong*100),
			apgr, fmt.Sprintf("%.1f%%", t.Curve.CPT50), fmt.Sprintf("%.1f%%", t.Curve.CPT80), guard,
		})
	}
	if err := columns(w, []string{"SET", "TEST", "IN DOMAIN", "PROMPTS", "WEAK", "STRONG", "APGR", "CPT50", "CPT80", "GUARD"}, rows); err != nil {
		return err
	}
	p := &printer{w: w}
	p.line("")
	if warning := r.InDomain(); warning != "" {
		p.line("%s", warning)
	}
	for _, t := range r.Tests {
		if t.Note != "" {
			p.line("%s: %s", t.Set, t.Note)
		}
	}
	for _, n := range r.Notes {
		p.line("%s", n)
	}
	p.line("Chance is 0.5, 50%% and 80%%. Lift: what the guarded router recovers beyond chance at its worst threshold.")
	return p.err
}
