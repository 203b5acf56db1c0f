package engine

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// ours is every series of a page, as our reader has it.
func ours(text string) (out []string, bad int, err error) {
	p := newPage(strings.NewReader(text))
	for {
		err := p.next(func([]byte) bool { return true })
		if errors.Is(err, io.EOF) {
			slices.Sort(out)
			return out, p.bad, nil
		}
		if err != nil {
			return nil, p.bad, err
		}
		var labels []string
		for _, l := range p.labels {
			labels = append(labels, fmt.Sprintf("%s=%q", l.name, l.value))
		}
		slices.Sort(labels)
		out = append(out, fmt.Sprint(string(p.name), labels, p.value))
	}
}

// theirs is the same as Prometheus' own library has it, of counters, gauges and
// what has no type.
func theirs(text string) (out []string, ok bool) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, false
	}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			v := m.GetUntyped().GetValue()
			switch f.GetType().String() {
			case "COUNTER":
				v = m.GetCounter().GetValue()
			case "GAUGE":
				v = m.GetGauge().GetValue()
			case "UNTYPED":
			default:
				return nil, false // folded into one metric; the lines are not to be had back
			}
			out = append(out, fmt.Sprint(name, labels, v))
		}
	}
	slices.Sort(out)
	return out, true
}

// TestTheReaderAgreesWithPrometheus on pages that its own library accepts.
func TestTheReaderAgreesWithPrometheus(t *testing.T) {
	pages := []string{
		"a 1\nb{x=\"y\"} 2 1700000000000\n  c{ x = \"y\" , z=\"w\" , } -3e-5\n",
		"a{x=\"q\\\"uote\\\\ new\\nline\"} +Inf\n\n# HELP b something {x=\"y\"} 5\n# TYPE b gauge\n# a comment\nb NaN\n",
		"a{x=\"}{,=\"} 4\na{x=\"# no comment\"} 5\n", "a\t1\nb{} 2\n", "_:x9 1\n", "a{x=\"\"} 0.1\n",
	}
	for _, e := range Engines() {
		if e.Metrics != "" && e.Kind != "sim" {
			pages = append(pages, withoutHistograms(recorded(t, e.Kind)))
		}
	}
	for _, text := range pages {
		want, ok := theirs(text)
		if !ok {
			t.Errorf("the oracle does not take %.80q", text)
			continue
		}
		if got, bad, err := ours(text); err != nil || bad > 0 || !slices.Equal(got, want) {
			t.Errorf("%.80q: %d bad, %v\n got %q\nwant %q", text, bad, err, got, want)
		}
	}
}

// withoutHistograms takes the type from histograms, so that they are lines like
// the others.
func withoutHistograms(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "# TYPE") || !strings.HasSuffix(line, "histogram\n") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// FuzzAgainstPrometheus: what its library accepts is read as it reads it, or not
// at all: it takes a value without a space before it, for one.
func FuzzAgainstPrometheus(f *testing.F) {
	f.Add("a{x=\"y\"} 1\nb 2\n")
	f.Add("# TYPE a counter\na{x=\"\\\\\\n\"} 1 5\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > longestLine {
			return
		}
		got, bad, err := ours(text)
		if err != nil {
			t.Fatal(err)
		}
		want, ok := theirs(text)
		if !ok || bad > 0 {
			return
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q\n got %q\nwant %q", text, got, want)
		}
	})
}

// TestHowAPageIsCutDoesNotMatter, down to single bytes.
func TestHowAPageIsCutDoesNotMatter(t *testing.T) {
	text := recorded(t, "vllm")
	want, err := NewReader(&vllm).Read(strings.NewReader(text), "")
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(&vllm)
	for _, n := range []int{1, 7, 4096} {
		got, err := r.Read(&dripping{text, n}, "")
		if err != nil || got.Known != want.Known || got.Generated != want.Generated || got.KVTokens != want.KVTokens {
			t.Errorf("cut into %d bytes: %+v, %v", n, got, err)
		}
	}
}

type dripping struct {
	text string
	n    int
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), d.n)], d.text)
	d.text = d.text[n:]
	return n, nil
}

func TestALongLineDoesNotHideTheOthers(t *testing.T) {
	text := "vllm:num_requests_running 3\nx{y=\"" + strings.Repeat("z", 3*longestLine) + "\"} 1\nvllm:num_requests_waiting 4\n"
	got := readText(t, &vllm, text, "")
	if got.Running != 3 || got.Waiting != 4 || math.IsNaN(got.Running) {
		t.Errorf("%+v", got)
	}
}

// A scrape of a page of two thousand lines is some hundred microseconds, twice a
// second for each engine.
func BenchmarkRead(b *testing.B) {
	var page strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&page, "vllm:request_latency_bucket{engine=\"0\",le=\"%d\",model_name=\"some/model\"} %d\n", i, i)
	}
	page.WriteString("vllm:num_requests_running{engine=\"0\",model_name=\"some/model\"} 3\n")
	r := NewReader(&vllm)
	b.SetBytes(int64(page.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(strings.NewReader(page.String()), ""); err != nil {
			b.Fatal(err)
		}
	}
}
