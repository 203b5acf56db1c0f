package complexity

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func outcome(id, text string) Outcome {
	return Outcome{Request: id, Time: noon, Customer: "acme", Model: "small", Good: 1, Source: Feedback, Vector: see(text)}
}

func TestAnOutcomeHoldsNoText(t *testing.T) {
	o := outcome("r1", "the Zanzibar contract is confidential")
	line, err := o.line()
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq("Zanzibar contract confidential") {
		if bytes.Contains(bytes.ToLower(line), []byte(strings.ToLower(word))) {
			t.Errorf("%q stands in %s", word, line)
		}
	}
}

func TestAnOutcomeComesBackFromItsLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := outcome(rapid.StringMatching(`[a-z0-9]{0,20}`).Draw(t, "id"), rapid.String().Draw(t, "text"))
		o.Good = rapid.Float32Range(0, 1).Draw(t, "good")
		if rapid.Bool().Draw(t, "embedded") {
			o.Vector.Meaning, o.Vector.Embedding = meaningOf(direction(64, rapid.Uint64().Draw(t, "seed"))), "e"
		}
		line, err := o.line()
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseOutcome(line)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(back.Vector.Meaning, o.Vector.Meaning) || back.Vector.Embedding != o.Vector.Embedding {
			t.Fatalf("%v of %q became %v of %q", o.Vector.Meaning, o.Vector.Embedding, back.Vector.Meaning, back.Vector.Embedding)
		}
		if back.Vector.Key() != o.Vector.Key() || back.Good != o.Good || back.Request != o.Request || !back.Time.Equal(o.Time) {
			t.Fatalf("%+v became %+v", o, back)
		}
	})
}

// TestALineFromBeforeEmbeddingsIsRead, and one without is written as it was then.
func TestALineFromBeforeEmbeddingsIsRead(t *testing.T) {
	old := `{"request":"r1","time":"2026-11-29T12:00:00Z","customer":"acme","model":"small","good":1,"source":"feedback","words":"qr0C3IIHgsMD","pairs":"paII/8EF","shape":[1,0.5,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}` + "\n"
	o, err := parseOutcome([]byte(old))
	if err != nil || len(o.Vector.Words) != 3 || o.Vector.Meaning != nil || o.Vector.Embedding != "" {
		t.Fatalf("%+v, %v", o, err)
	}
	if line, err := o.line(); err != nil || string(line) != old {
		t.Errorf("%s, %v", line, err)
	}
}

func TestTheLongestOutcomeFitsALine(t *testing.T) {
	o := outcome(strings.Repeat("i", mostName), "")
	o.Vector.Embedding = strings.Repeat("e", mostName)
	for i := range uint32(tables) {
		o.Vector.Meaning = append(o.Vector.Meaning, i*2000)
	}
	for i := range uint32(mostWords) {
		o.Vector.Words = append(o.Vector.Words, i*60)
		o.Vector.Pairs = append(o.Vector.Pairs, i*60+7)
	}
	line, err := o.line()
	if err != nil || len(line) >= mostLine {
		t.Errorf("%d bytes, %v", len(line), err)
	}
}

func TestWrongOutcomesAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Outcome){
		"more than good":          func(o *Outcome) { o.Good = 1.1 },
		"not a number":            func(o *Outcome) { o.Good = float32(math.NaN()) },
		"no model":                func(o *Outcome) { o.Model = "" },
		"no source":               func(o *Outcome) { o.Source = "rumour" },
		"no text's shape":         func(o *Outcome) { o.Vector.Shape[shapeLength] = 1e9 },
		"a meaning of nobody's":   func(o *Outcome) { o.Vector.Meaning = []uint32{1} },
		"an embedding of none":    func(o *Outcome) { o.Vector.Embedding = "e" },
		"more meaning than is":    func(o *Outcome) { o.Vector.Meaning, o.Vector.Embedding = make([]uint32, tables+1), "e" },
		"a long embedding's name": func(o *Outcome) { o.Vector.Meaning, o.Vector.Embedding = []uint32{1}, strings.Repeat("e", mostName+1) },
		"a long name":             func(o *Outcome) { o.Customer = strings.Repeat("c", mostName+1) },
	} {
		o := outcome("r1", "text")
		spoil(&o)
		if o.Valid() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzParseOutcome(f *testing.F) {
	o := outcome("r1", "prove this lemma")
	line, err := o.line()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"model":"m","good":0.5,"source":"judge","words":"AQAA","pairs":"","shape":[1e30]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		o, err := parseOutcome(line)
		if err != nil {
			return
		}
		again, err := o.line()
		if err != nil {
			return // a year beyond JSON's
		}
		back, err := parseOutcome(again)
		if err != nil || back.Vector.Key() != o.Vector.Key() {
			t.Fatalf("%v: %s", err, again)
		}
	})
}

func TestWhatBothModelsDidIsJoined(t *testing.T) {
	at := func(id, text, model string, good float32) Outcome {
		o := outcome(id, text)
		o.Model, o.Good = model, good
		return o
	}
	other := at("r9", "one", "small", 1)
	other.Customer = "globex"
	got := Gather([]Outcome{
		at("r1", "one", "small", 1),
		at("r1", "one", "small", 0), // corrected
		at("r2", "one", "large", 1),
		at("r3", "two", "small", 1),
		at("r4", "two", "small", 0.5),
		at("r5", "three", "huge", 1),
		other,
	}, "small", "large")
	type flat struct {
		weak, strong float32
		customer     string
	}
	var list []flat
	for _, s := range got {
		f := flat{s.Weak, s.Strong, s.Customer}
		if isNaN(f.strong) {
			f.strong = -1
		}
		list = append(list, f)
	}
	if want := []flat{{0, 1, "acme"}, {0.75, -1, "acme"}, {1, -1, "globex"}}; !reflect.DeepEqual(list, want) {
		t.Errorf("%v, want %v", list, want)
	}
}

// TestAnEmbeddingDoesNotSetPromptsApart: what two models did is joined though only
// one of the requests was embedded, and the latest embedding is kept.
func TestAnEmbeddingDoesNotSetPromptsApart(t *testing.T) {
	at := func(id, model, embedding string) Outcome {
		o := outcome(id, "one")
		if o.Model = model; embedding != "" {
			o.Vector.Meaning, o.Vector.Embedding = []uint32{uint32(len(id))}, embedding
		}
		return o
	}
	got := Gather([]Outcome{at("r1", "small", ""), at("r2", "large", "e"), at("r33", "large", "f"), at("r4", "small", "")}, "small", "large")
	if len(got) != 1 || !got[0].Pair() || got[0].Embedding != "f" || !slices.Equal(got[0].Meaning, []uint32{3}) {
		t.Errorf("%+v", got)
	}
}

// reads are the outcomes of a directory, in order, and the lines that were bad.
func reads(t *testing.T, dir string) (ids []string, bad int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "outcomes-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, list, n, err := ReadOutcomes(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		bad += n
		for _, o := range list {
			ids = append(ids, o.Request)
		}
	}
	return ids, bad
}

func open(t *testing.T, dir string, set Bounds, seed uint64) *Outcomes {
	t.Helper()
	o, err := OpenOutcomes(dir, set, seed)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func add(t *testing.T, o *Outcomes, id string) {
	t.Helper()
	if err := o.Add(outcome(id, "prove this lemma")); err != nil {
		t.Fatal(err)
	}
}

func shut(t *testing.T, o *Outcomes) {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestALogGoesOnWhereItEnded(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir, DefaultBounds(), 77)
	add(t, o, "r1")
	shut(t, o)
	o = open(t, dir, DefaultBounds(), 88)
	if o.Seed() != 77 {
		t.Errorf("the seed became %d: words hashed before and after do not compare", o.Seed())
	}
	add(t, o, "r2")
	shut(t, o)
	if ids, bad := reads(t, dir); bad != 0 || strings.Join(ids, " ") != "r1 r2" {
		t.Errorf("%v, %d bad", ids, bad)
	}
}

// TestATornTailIsCutOff at every byte of the last line and of the first.
func TestATornTailIsCutOff(t *testing.T) {
	whole := t.TempDir()
	o := open(t, whole, DefaultBounds(), 77)
	add(t, o, "r1")
	add(t, o, "r2")
	shut(t, o)
	text, err := os.ReadFile(filepath.Join(whole, logName(1)))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(text) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, logName(1)), text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		kept := bytes.Count(text[:cut], []byte("\n"))
		o := open(t, dir, DefaultBounds(), 77)
		add(t, o, "r3")
		torn := o.Stats().Torn
		shut(t, o)
		ids, bad := reads(t, dir)
		want := strings.Join(append([]string{"r1", "r2"}[:max(0, kept-1)], "r3"), " ")
		if bad != 0 || strings.Join(ids, " ") != want {
			t.Fatalf("cut at %d: %v, %d bad; want %s", cut, ids, bad, want)
		}
		if kept > 0 && torn != int64(cut-bytes.LastIndexByte(text[:cut], '\n')-1) {
			t.Fatalf("cut at %d: %d bytes are said to be torn", cut, torn)
		}
	}
}

// TestATornNewFileKeepsTheSeed of the files before it.
func TestATornNewFileKeepsTheSeed(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir, DefaultBounds(), 77)
	add(t, o, "r1")
	shut(t, o)
	if err := os.WriteFile(filepath.Join(dir, logName(2)), []byte(`{"tailpl`), 0o600); err != nil {
		t.Fatal(err)
	}
	o = open(t, dir, DefaultBounds(), 88)
	if o.Seed() != 77 {
		t.Errorf("seed %d", o.Seed())
	}
	add(t, o, "r2")
	shut(t, o)
	if ids, bad := reads(t, dir); bad != 0 || strings.Join(ids, " ") != "r1 r2" {
		t.Errorf("%v, %d bad", ids, bad)
	}
}

func TestALogIsBounded(t *testing.T) {
	dir := t.TempDir()
	set := Bounds{FileBytes: 1000, Files: 3}
	o := open(t, dir, set, 77)
	for i := range 40 {
		add(t, o, string(rune('a'+i%26)))
	}
	if s := o.Stats(); s.Added != 40 || s.Removed == 0 {
		t.Errorf("%+v", s)
	}
	shut(t, o)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != set.Files {
		t.Errorf("%v, %v", names, err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Size() > set.FileBytes {
			t.Errorf("%s: %v", name, err)
		}
	}
	ids, bad := reads(t, dir)
	if bad != 0 || len(ids) == 0 || ids[len(ids)-1] != string(rune('a'+39%26)) {
		t.Errorf("%v, %d bad: the newest are kept", ids, bad)
	}
}

func TestOtherFilesAreNoLog(t *testing.T) {
	for _, text := range []string{"", "hello\n", `{"tailplane_outcomes":9,"seed":"1"}` + "\n", `{"tailplane_outcomes":1,"seed":"x"}` + "\n"} {
		if _, _, _, err := ReadOutcomes(strings.NewReader(text)); !errors.Is(err, ErrNoOutcomes) {
			t.Errorf("%q: %v", text, err)
		}
	}
	_, list, bad, err := ReadOutcomes(strings.NewReader(`{"tailplane_outcomes":1,"seed":"ff"}` + "\n{}\n"))
	if err != nil || bad != 1 || list != nil {
		t.Errorf("%v %d %v", list, bad, err)
	}
}

func TestPendingForgetsTheOldest(t *testing.T) {
	p := NewPending(2)
	for _, id := range []string{"r1", "r2", "r2", "", "r3"} {
		p.Put(id, Asked{Model: id})
	}
	if _, ok := p.Find("r1"); ok {
		t.Error("the oldest is still there")
	}
	for _, id := range []string{"r2", "r3"} {
		if a, ok := p.Find(id); !ok || a.Model != id {
			t.Errorf("%s: %+v %v", id, a, ok)
		}
	}
	if lost, found := p.Counts(); lost != 1 || found != 2 || len(p.of) != 2 {
		t.Errorf("%d lost, %d found, %d held", lost, found, len(p.of))
	}
}

// TestOutcomesComeFromManyRequestsAtOnce, as decisions do; the race detector
// watches.
func TestOutcomesComeFromManyRequestsAtOnce(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir, Bounds{FileBytes: 4000, Files: 1000}, 77)
	pending := NewPending(8)
	share := 0.3
	router := NewRouter(Config{StrongShare: &share}, trained(t), nil)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 25 {
				id := fmt.Sprint(g, "-", i)
				router.Route(Ask{Text: "prove this lemma " + id})
				pending.Put(id, Asked{Model: "small", Vector: see("prove this lemma " + id)})
				pending.Find(id)
				if err := log.Add(outcome(id, "prove this lemma "+id)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	shut(t, log)
	ids, bad := reads(t, dir)
	slices.Sort(ids)
	if bad != 0 || len(slices.Compact(ids)) != 100 {
		t.Errorf("%d outcomes, %d bad", len(ids), bad)
	}
}
