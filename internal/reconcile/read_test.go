package reconcile

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files")

// exports are the files of testdata that are read.
func exports(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.csv", "*.json", "*.gz"} {
		found, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	if len(out) < 11 {
		t.Fatalf("%d exports", len(out))
	}
	return out
}

func text(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestExportsAreReadAsTheGoldenFilesSay, and the same when nobody tells whose
// they are.
func TestExportsAreReadAsTheGoldenFilesSay(t *testing.T) {
	for _, path := range exports(t) {
		provider, _, _ := strings.Cut(filepath.Base(path), "-")
		lines, err := Read(provider, bytes.NewReader(text(t, path)))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		var got bytes.Buffer
		for _, l := range lines {
			raw, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(append(raw, '\n'))
		}
		golden := strings.TrimSuffix(path, ".gz") + ".golden"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := text(t, golden); !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s\ngot\n%swant\n%s", path, got.String(), want)
		}
		again, err := Read("", bytes.NewReader(text(t, path)))
		if err != nil || len(again) != len(lines) {
			t.Errorf("%s, found out: %d lines, want %d: %v", path, len(again), len(lines), err)
		}
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	cases := []struct{ provider, text, want string }{
		{"oracle", "", "not known; use openai"},
		{"", "", "no line with the names"},
		{"", "a,b\n1,2\n", "openai costs export lacks start_time_iso or start_time"},
		{"aws", "line_item_usage_start_date,line_item_product_code\n", "lacks line_item_usage_type or"},
		{"", "date,line_item,amount\n2026-13-01,x,1\n", "openai costs export, line 2: the column start_time_iso: \"2026-13-01\" is no day"},
		{"", "date,line_item,amount\n2026-11-01,x,1.234.5\n", "is no number"},
		{"", "date,line_item,amount\n2026-11-01,x,1,2\n", ""},
		{"", "date,line_item,amount,currency\n2026-11-01,x,1,eur\n", "not in dollars"},
		{"", `{"data":[`, "breaks off"},
		{"", `{"error":"x"}`, "has no data"},
		{"", `{"data":[],"has_more":true}`, "fetch the rest"},
		{"", `{"data":[{"start_time":1793491200,"results":[{"x":1}]}]}`, "no API that is known"},
		{"", `{"data":[{"start_time":"soon","results":[]}]}`, "no page of"},
		{"", `{"data":[{"results":[]}]}`, "is no day"},
		{"anthropic", `{"data":[{"start_time":1793491200,"results":[{"amount":{"value":1}}]}]}`, "no API that is known"},
		{"", "\x1f\x8bx", "cannot be unpacked"},
	}
	for _, c := range cases {
		_, err := Read(c.provider, strings.NewReader(c.text))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte("date,line_item,amount\n2026-11-01,x,1\n"))
	_ = w.Close()
	if _, err := Read("", bytes.NewReader(packed.Bytes()[:packed.Len()-4])); err == nil {
		t.Error("a cut archive is taken for whole")
	}
}

func TestNumbersAreExact(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1", "1,234.50": "1234.5", "0.1000000000000000055511151231257827": "0.1000000000000000055511151231257827",
		"1.2E-05": "0.000012", " $3 ": "3", "-$0.5": "-0.5", ".5": "0.5", "1,23": "", "1.2.3": "", "": "", "1e999": "", "NaN": "",
		"0x10": "", "1/3": "", "1_000": "", strings.Repeat("1", 61): "",
	} {
		d, err := ParseDecimal(in)
		if (err == nil) != (want != "") || err == nil && d.String() != want {
			t.Errorf("%q: %v, %v, want %q", in, d, err, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		sum := Nano(a).Plus(Nano(b))
		back, err := ParseDecimal(sum.String())
		if err != nil || back.Cmp(sum) != 0 || sum.Minus(Nano(b)).Cmp(Nano(a)) != 0 {
			t.Fatalf("%d + %d: %v, %v, %v", a, b, sum, back, err)
		}
	})
}

// TestOneModelHasOneKey in whatever way it is written.
func TestOneModelHasOneKey(t *testing.T) {
	for _, same := range [][]string{
		{"claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Claude Sonnet 4.5", "claude-sonnet-4-5@20250929", "anthropic/claude-sonnet-4-5", "Claude4.5Sonnet"},
		{"gpt-4o", "gpt-4o-2024-08-06", "GPT 4o", "openai/gpt-4o"},
		{"meta.llama3-3-70b-instruct-v1:0", "Llama3-3-70B"},
		{"amazon.nova-lite-v1:0", "NovaLite", "us.amazon.nova-lite-v1:0"},
	} {
		for _, name := range same {
			if key(name) != key(same[0]) {
				t.Errorf("%q is %q, and %q is %q", name, key(name), same[0], key(same[0]))
			}
		}
	}
	seen := map[string]string{}
	for _, name := range []string{"gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4", "gpt-5.4", "o4-mini", "claude-3-5-sonnet", "claude-3-7-sonnet", "claude-opus-4-1", "claude-opus-4"} {
		if was, ok := seen[key(name)]; ok {
			t.Errorf("%s and %s are both %q", name, was, key(name))
		}
		seen[key(name)] = name
	}
}

// FuzzRead: nothing that is read is a surprise to what comes after.
func FuzzRead(f *testing.F) {
	for _, path := range exports(f) {
		f.Add(text(f, path))
	}
	f.Fuzz(func(t *testing.T, export []byte) {
		for _, provider := range append(Providers(), "") {
			lines, err := Read(provider, bytes.NewReader(export))
			if err != nil {
				continue
			}
			for _, l := range lines {
				if _, err := dayOf(l.Day); err != nil || l.Unit == "" || l.Rows < 1 {
					t.Fatalf("%+v", l)
				}
			}
			r := Summarise(Compare([]Row{{Day: "2026-11-01", Model: "gpt-4o", Requests: 1, Input: 3}}, lines))
			if _, err := json.Marshal(r); err != nil {
				t.Fatal(err)
			}
		}
	})
}
