package engine

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func readText(t *testing.T, e *Engine, text, model string) Sample {
	t.Helper()
	s, err := NewReader(e).Read(strings.NewReader(text), model)
	if err != nil {
		t.Fatalf("%s: %v", e.Kind, err)
	}
	return s
}

func recorded(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".prom"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRecordedPages(t *testing.T) {
	load := SignalRunning | SignalWaiting
	counted := SignalPrompt | SignalGenerated
	cases := []struct {
		page, kind, model string
		want              Sample
	}{
		{"vllm", "vllm", "", Sample{
			Known: signalEnd - 1, Running: 8, Waiting: 4, KVUsage: 0.375, KVTokens: 16 * 45000, Prompt: 80014, Generated: 2000,
			PrefixHit: 0.5, Preemptions: 4, Adapters: []string{"sql", "legal", "tone"}, MostAdapters: 4, Awake: 1, Started: 1.76382e9,
		}},
		{"vllm-old", "vllm", "m", Sample{Known: load | SignalKVUsage | SignalGenerated, Running: 2, Waiting: 7, KVUsage: 0.125, Generated: 10}},
		{"sglang", "sglang", "", Sample{
			Known: load | counted | SignalKVUsage | SignalKVTokens | SignalPrefixCache | SignalPreemptions, Running: 12, Waiting: 4,
			KVUsage: 0.28, KVTokens: 441000, Prompt: 10000, Generated: 707, PrefixHit: 0.25, Preemptions: 1,
		}},
		{"tensorrt-llm", "tensorrt-llm", "", Sample{
			Known: load | counted | SignalKVUsage | SignalKVTokens | SignalPrefixCache, Running: 6, Waiting: 1, KVUsage: 0.6, KVTokens: 6239 * 64,
			Prompt: 4000, Generated: 900, PrefixHit: 0.25,
		}},
		{"triton", "triton", "", Sample{Known: load | SignalKVUsage | SignalKVTokens, Running: 8, Waiting: 2, KVUsage: 0.25, KVTokens: 6240 * 64}},
		{"tgi", "tgi", "", Sample{Known: load | counted | SignalKVUsage | SignalKVTokens, Running: 7, Waiting: 3, KVUsage: 0.25, KVTokens: 32000, Prompt: 1800, Generated: 450}},
		{"lmdeploy", "lmdeploy", "", Sample{Known: load | counted | SignalKVUsage, Running: 2, KVUsage: 0.05, Prompt: 300, Generated: 44}},
		{"llamacpp", "llamacpp", "", Sample{Known: load | counted, Running: 1, Waiting: 3, Prompt: 16185, Generated: 394}},
		{"dynamo", "dynamo", "qwen", Sample{Known: load | counted | SignalPrefixCache, Running: 9, Waiting: 2, Prompt: 20000, Generated: 5000, PrefixHit: 0.25}},
		{"dynamo", "dynamo", "", Sample{Known: load | counted | SignalPrefixCache, Running: 10, Waiting: 7, Prompt: 20000, Generated: 5007, PrefixHit: 0.25}},
		{"vllm", "vllm", "an-alias", Sample{
			Known: signalEnd - 1, Running: 8, Waiting: 4, KVUsage: 0.375, KVTokens: 16 * 45000, Prompt: 80014, Generated: 2000,
			PrefixHit: 0.5, Preemptions: 4, Adapters: []string{"sql", "legal", "tone"}, MostAdapters: 4, Awake: 1, Started: 1.76382e9,
		}},
	}
	for _, c := range cases {
		got := readText(t, Find(c.kind), recorded(t, c.page), c.model)
		if !got.Moving {
			t.Errorf("%s: nothing on its page says that it moves", c.page)
		}
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Sample{}, "Motion", "Moving")); diff != "" {
			t.Errorf("%s for model %q (-want +got):\n%s", c.page, c.model, diff)
		}
	}
}

// TestAStartIsThatOfOneProcess: a page of several, or one that cannot be, says
// nothing.
func TestAStartIsThatOfOneProcess(t *testing.T) {
	for page, want := range map[string]float64{
		"process_start_time_seconds 1.5e9\n": 1.5e9, "up 1\n": 0, "process_start_time_seconds NaN\n": 0, "process_start_time_seconds -4\n": 0,
		"process_start_time_seconds{pid=\"1\"} 1.5e9\nprocess_start_time_seconds{pid=\"2\"} 1.6e9\n": 0,
	} {
		r := NewReader(&vllm)
		for range 2 { // a reader keeps nothing of the page before
			if s, err := r.Read(strings.NewReader(page), ""); err != nil || s.Started != want {
				t.Errorf("%q: started at %v, want %v (%v)", page, s.Started, want, err)
			}
		}
	}
}

func TestMissingIsNotZeroAndALieIsNeither(t *testing.T) {
	cases := map[string]struct {
		line           string
		known, refused Signal
	}{
		"absent":                     {"up 1", 0, 0},
		"a longer name":              {"vllm:num_requests_running_total_by_x 4", 0, 0},
		"zero":                       {"vllm:num_requests_running 0", SignalRunning, 0},
		"negative":                   {"vllm:num_requests_running -1", 0, SignalRunning},
		"not a number":               {"vllm:num_requests_running NaN", 0, SignalRunning},
		"endless":                    {"vllm:num_requests_running +Inf", 0, SignalRunning},
		"more than there can be":     {"vllm:num_requests_running 1e12", 0, SignalRunning},
		"seven times full":           {"vllm:kv_cache_usage_perc 7.3", 0, SignalKVUsage},
		"rounded above full":         {"vllm:kv_cache_usage_perc 1.001", SignalKVUsage, 0},
		"an overflowing counter":     {"vllm:generation_tokens_total 1e400", 0, SignalGenerated},
		"a cache of nothing":         {`vllm:cache_config_info{num_gpu_blocks="0",block_size="16"} 1`, 0, SignalKVTokens},
		"a cache without a size":     {`vllm:cache_config_info{block_size="16"} 1`, 0, 0},
		"hits without look-ups":      {"vllm:prefix_cache_hits_total 5\nvllm:prefix_cache_queries_total 0", 0, 0},
		"more hits than look-ups":    {"vllm:prefix_cache_hits_total 5\nvllm:prefix_cache_queries_total 2", 0, SignalPrefixCache},
		"a part that is negative":    {`vllm:num_requests_running{engine="0"} 4` + "\n" + `vllm:num_requests_running{engine="1"} -3`, 0, SignalRunning},
		"part of it is a lie":        {`vllm:num_requests_running{engine="0"} 4` + "\n" + `vllm:num_requests_running{engine="1"} NaN`, 0, SignalRunning},
		"a line that cannot be read": {"vllm:num_requests_running{engine=0} 4\nvllm:num_requests_waiting 1\na 1\nb 2", SignalWaiting, 0},
	}
	for name, c := range cases {
		got := readText(t, &vllm, c.line+"\n", "")
		if got.Known != c.known || got.Refused != c.refused {
			t.Errorf("%s: known %v, refused %v; want %v, %v", name, got.Known.Names(), got.Refused.Names(), c.known.Names(), c.refused.Names())
		}
	}
}

func TestWhatIsNoPageIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       "",
		"comments only": "# HELP a b\n",
		"a web page":    "<!doctype html>\n<p>hello</p>\n",
		"JSON":          `[{"iter":1,"numActiveRequests":2}]`,
		"binary":        "\x00\x01\x02\n\xff\xfe",
		"one long line": strings.Repeat("x", 1<<20),
	} {
		if _, err := NewReader(&vllm).Read(strings.NewReader(text), ""); !errors.Is(err, ErrNoMetrics) {
			t.Errorf("%s: %v, want ErrNoMetrics", name, err)
		}
	}
	broken := errors.New("cut")
	if _, err := NewReader(&vllm).Read(&failing{"vllm:num_requests_running 3\nvllm:num_", broken}, ""); !errors.Is(err, broken) {
		t.Errorf("a page that was cut: %v", err)
	}
}

type failing struct {
	text string
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.text == "" {
		return 0, f.err
	}
	n := copy(p, f.text)
	f.text = f.text[n:]
	return n, nil
}

// TestMotionIsSeen: any of the metrics that move does, in whatever order the page
// has its lines; what does not move does not.
func TestMotionIsSeen(t *testing.T) {
	r := NewReader(&vllm)
	read := func(text string) uint64 {
		s, err := r.Read(strings.NewReader(text), "")
		if err != nil || !s.Moving {
			t.Fatal(s, err)
		}
		return s.Motion
	}
	const a, b, load = "vllm:generation_tokens_total{engine=\"0\"} 10\n", "vllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n", "vllm:num_requests_running 3\n"
	still := read(a + b + load)
	if read(b+a+load) != still || read(a+b+strings.Replace(load, "3", "4", 1)) != still {
		t.Error("the order of lines, or a gauge of load, counts as motion")
	}
	for _, moved := range []string{strings.Replace(a, "10", "11", 1) + b, a + strings.Replace(b, "0.5", "0.5001", 1), a} {
		if read(moved+load) == still {
			t.Errorf("no motion seen in %q", moved)
		}
	}
	if s := readText(t, &vllm, load, ""); s.Moving {
		t.Error("a page without counters is said to show motion")
	}
}

func TestOverridesNameASignalAnew(t *testing.T) {
	e := vllm.With(map[string]string{"kv_usage": "my_usage", "kv_tokens": "my_info", "adapters": "my_loras"})
	got := readText(t, e, "my_usage 0.75\nvllm:kv_cache_usage_perc 0.1\nvllm:num_requests_running 1\n"+
		`my_info{num_gpu_blocks="10",block_size="16"} 1`+"\n"+`my_loras{running_lora_adapters="a, b"} 5`+"\n", "")
	want := Sample{
		Known: SignalKVUsage | SignalRunning | SignalKVTokens | SignalAdapters, KVUsage: 0.75, Running: 1, KVTokens: 160, Adapters: []string{"a", "b"},
		Moving: true,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Sample{}, "Motion")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if vllm.Signals[SignalKVUsage][0].Name != "vllm:kv_cache_usage_perc" || vllm.With(nil) != &vllm {
		t.Error("an override changes the table")
	}
	bare := (&Engine{}).With(map[string]string{"running": "busy"})
	if got := readText(t, bare, "busy 3\n", ""); got.Running != 3 {
		t.Errorf("an engine that is not known: %+v", got)
	}
}

func FuzzRead(f *testing.F) {
	for _, e := range Engines() {
		if text, err := os.ReadFile(filepath.Join("testdata", e.Kind+".prom")); err == nil {
			f.Add(string(text), e.Kind, "m")
		}
	}
	f.Add("vllm:num_requests_running{a=\"\\\\\\\"\\n\"} 1 123\n", "vllm", "")
	f.Fuzz(func(t *testing.T, text, kind, model string) {
		e := Find(kind)
		if e == nil {
			e = &vllm
		}
		s, err := NewReader(e).Read(strings.NewReader(text), model)
		if err != nil {
			if !cmp.Equal(s, Sample{}) {
				t.Fatalf("an error with a sample: %+v", s)
			}
			return
		}
		if s.Known&s.Refused != 0 || !e.Publishes().Has(s.Known|s.Refused) {
			t.Fatalf("known %v, refused %v, published %v", s.Known.Names(), s.Refused.Names(), e.Publishes().Names())
		}
		for signal := SignalRunning; signal < signalEnd; signal <<= 1 {
			if signal == SignalAdapters || !s.Known.Has(signal) {
				continue
			}
			if v := *s.field(signal); v < 0 || math.IsNaN(v) || v > mostCounted {
				t.Fatalf("%v is %v", signal.Names(), v)
			}
		}
	})
}
