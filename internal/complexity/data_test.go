package complexity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written puts files into a directory.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadFindsSetsGroupsAndWhatToLeaveOut(t *testing.T) {
	dir := written(t, map[string]string{
		"exam_responses/law.csv":          "prompt,small,large\nwho owns it,True,True\nis it theft,False,True\n",
		"exam_responses/art.csv":          "prompt,large,small\nwho painted it,true,0.5\n",
		"exam_contaminated_prompts.jsonl": `{"eval_prompt":"is it theft","train_prompt":"x"}` + "\n",
		"sums_responses.csv":              "prompt,small,large,small_response\n\"two\nlines\",False,True,no\n",
		"more.jsonl":                      `{"prompt":"one more","small":true,"large":null}` + "\n" + `{"question":"none"}` + "\n",
		"other.csv":                       "a,b\n1,2\n",
		"README.md":                       "not data",
	})
	d, err := Read(From{Path: dir, Weak: "small", Strong: "large"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range d.Sets {
		for _, x := range s.Samples {
			half := map[bool]string{true: "pair", false: "single"}[x.Pair()]
			got = append(got, s.Name+"/"+x.Group+" "+half)
		}
	}
	want := "exam/art pair, exam/law pair, more/more single, sums/sums_responses pair"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
	if d.Sets[0].Samples[0].Weak != 0.5 {
		t.Errorf("the columns are mistaken: %+v", d.Sets[0].Samples[0].Weak)
	}
	notes := strings.Join(d.Notes, "\n")
	for _, part := range []string{"contaminated", "other.csv is left out: it has no columns prompt, small and large, but a, b", "1 lines are left out"} {
		if !strings.Contains(notes, part) {
			t.Errorf("the notes do not say %q: %s", part, notes)
		}
	}
}

func TestReadTakesLogsAndHashesTheRestAsThey(t *testing.T) {
	dir := written(t, map[string]string{"more.csv": "prompt,small,large\nprove this lemma,True,True\n"})
	log := open(t, filepath.Join(dir, "log"), DefaultBounds(), 77)
	o := outcome("r1", "")
	var e Extractor
	o.Vector = e.Extract(77, "prove this lemma").Clone()
	if err := log.Add(o); err != nil {
		t.Fatal(err)
	}
	shut(t, log)
	d, err := Read(From{Path: dir, Weak: "small", Strong: "large"})
	if err != nil {
		t.Fatal(err)
	}
	all := d.All()
	if d.HashSeed != 77 || len(all) != 2 || all[0].Key() != all[1].Key() {
		t.Errorf("seed %d, %d samples", d.HashSeed, len(all))
	}
	other := open(t, filepath.Join(dir, "other"), DefaultBounds(), 78)
	shut(t, other)
	if _, err := Read(From{Path: dir, Weak: "small", Strong: "large"}); err == nil || !strings.Contains(err.Error(), "seed") {
		t.Errorf("two seeds: %v", err)
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ file, text, says string }{
		"no outcome":   {"a.csv", "prompt,small,large\nx,maybe,True\n", `"maybe" is neither`},
		"a number":     {"a.csv", "prompt,small,large\nx,2,True\n", `"2" is neither`},
		"other models": {"a.csv", "prompt,tiny,huge\nx,True,True\n", "prompt, tiny, huge"},
		"no JSON":      {"a.jsonl", "{\n", "line 1"},
		"nothing":      {"a.txt", "", "there is no prompt"},
	} {
		if _, err := Read(From{Path: written(t, map[string]string{c.file: c.text}), Weak: "small", Strong: "large"}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(From{Path: filepath.Join(t.TempDir(), "missing"), Weak: "small", Strong: "large"}); err == nil {
		t.Error("a missing path is read")
	}
}

func TestMeasureTellsWhatItCannotMeasure(t *testing.T) {
	r, err := Measure(t.Context(), []Set{{"few", drawn(50, 1)}, {"enough", drawn(400, 1)}}, Plan{Folds: 5, Seeds: 2, Seed: 1, LeaveGroupOut: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "few has 50") {
		t.Errorf("%q", r.Notes)
	}
	var splits []string
	for _, x := range r.Tests {
		splits = append(splits, x.Split)
	}
	if got := strings.Join(splits, ", "); got != "5 folds, each of 3 groups left out, a fifth held out" {
		t.Errorf("%s", got)
	}
	if r.Tests[0].Seeds != 2 || r.Tests[0].Low > r.Tests[0].Curve.APGR || r.Tests[0].High < r.Tests[0].Curve.APGR {
		t.Errorf("%+v", r.Tests[0])
	}
	if !strings.HasPrefix(r.InDomain(), "trained and tested on the same distribution: enough") {
		t.Errorf("%q", r.InDomain())
	}
}

// TestAModelSaysThatItKnowsTheTest when it was trained on it.
func TestAModelSaysThatItKnowsTheTest(t *testing.T) {
	m := trained(t)
	known, err := m.Test(Set{"drawn", drawn(2000, 1)}, 1)
	if err != nil || !known.InDomain || !strings.Contains(known.Note, "100%") {
		t.Errorf("%+v %v", known.Note, err)
	}
}
