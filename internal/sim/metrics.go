package sim

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Rules of this file: names, labels and buckets are those of vLLM V1's
// /metrics, written by hand in Prometheus text format; times are the engine's
// own seconds. A number the simulator has no meaning for is left out.

// The finished_reason labels of request_success.
const (
	reasonStop   = "stop"
	reasonLength = "length"
	reasonAbort  = "abort"
	reasonError  = "error"
)

// histogram counts values by upper bound; counts has one more for +Inf.
type histogram struct {
	bounds []float64
	counts []uint64
	sum    float64
}

func newHistogram(bounds ...float64) *histogram {
	return &histogram{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
}

func (h *histogram) observe(v float64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i]++
	h.sum += v
}

// stats is what /metrics shows of one model. mu guards all of it.
type stats struct {
	mu       sync.Mutex
	load     Load
	counters Counters
	prompt   int64
	output   int64
	refused  int64
	finished map[string]int64
	ttft     *histogram
	itl      *histogram
	e2e      *histogram
	queue    *histogram
}

func newStats() *stats {
	longs := []float64{0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	return &stats{
		finished: map[string]int64{reasonStop: 0, reasonLength: 0, reasonAbort: 0, reasonError: 0},
		ttft: newHistogram(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5,
			10, 20, 40, 80, 160, 640, 2560),
		itl:   newHistogram(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80),
		e2e:   newHistogram(longs...),
		queue: newHistogram(longs...),
	}
}

// gauge takes over the engine's present state.
func (s *stats) gauge(l Load, c Counters) {
	s.mu.Lock()
	s.load, s.counters = l, c
	s.mu.Unlock()
}

// finish counts a request that ended without its last emission.
func (s *stats) finish(reason string) {
	s.mu.Lock()
	s.finished[reason]++
	s.mu.Unlock()
}

// refuse counts a request the engine did not take.
func (s *stats) refuse() {
	s.mu.Lock()
	s.refused++
	s.mu.Unlock()
}

// emit books one emission of j. The caller holds mu.
func (s *stats) emit(j *job, e Emission) {
	if e.Token <= 0 {
		s.prompt += int64(j.req.Prompt)
		s.queue.observe(e.Queued.Seconds())
	}
	switch {
	case e.Token == 0:
		s.ttft.observe((e.At - j.arrived).Seconds())
	case e.Token > 0:
		s.itl.observe((e.At - j.last).Seconds())
	}
	if e.Token >= 0 {
		s.output++
	}
	if e.Done {
		s.e2e.observe((e.At - j.arrived).Seconds())
		s.finished[j.finish]++
	}
}

// page is a metrics text under construction.
type page struct {
	b      strings.Builder
	models []*model
}

// family writes one metric family with one line per model and extra label set.
func (p *page) family(name, kind, help string, sample func(m *model, labels string)) {
	p.b.WriteString("# HELP vllm:" + name + " " + help + "\n# TYPE vllm:" + name + " " + kind + "\n")
	for _, m := range p.models {
		m.stats.mu.Lock()
		sample(m, `engine="0",model_name="`+escapeLabel(m.ID)+`"`)
		m.stats.mu.Unlock()
	}
}

func escapeLabel(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}

func (p *page) line(name, labels string, v float64) {
	p.b.WriteString("vllm:" + name + "{" + labels + "} " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
}

func (p *page) single(name, kind, help string, value func(s *stats) float64) {
	p.family(name, kind, help, func(m *model, labels string) { p.line(name, labels, value(m.stats)) })
}

func (p *page) histogram(name, help string, of func(s *stats) *histogram) {
	p.family(name, "histogram", help, func(m *model, labels string) {
		h := of(m.stats)
		var n uint64
		for i, c := range h.counts {
			n += c
			le := "+Inf"
			if i < len(h.bounds) {
				le = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
			}
			p.line(name+"_bucket", labels+`,le="`+le+`"`, float64(n))
		}
		p.line(name+"_sum", labels, h.sum)
		p.line(name+"_count", labels, float64(n))
	})
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(metricsText(s.models)))
}

func metricsText(models []*model) string {
	p := &page{models: models}
	p.gauges()
	p.totals()
	p.family("request_success_total", "counter", "Count of finished requests by reason.", func(m *model, labels string) {
		for _, reason := range []string{reasonStop, reasonLength, reasonAbort, reasonError} {
			p.line("request_success_total", labels+`,finished_reason="`+reason+`"`, float64(m.stats.finished[reason]))
		}
	})
	p.histogram("time_to_first_token_seconds", "Time from arrival to the first token.", func(s *stats) *histogram { return s.ttft })
	p.histogram("inter_token_latency_seconds", "Time between two tokens of a request.", func(s *stats) *histogram { return s.itl })
	p.histogram("e2e_request_latency_seconds", "Time from arrival to the last token.", func(s *stats) *histogram { return s.e2e })
	p.histogram("request_queue_time_seconds", "Time from arrival to the first admission.", func(s *stats) *histogram { return s.queue })
	return p.b.String()
}

func (p *page) gauges() {
	p.single("num_requests_running", "gauge", "Requests in the batch.", func(s *stats) float64 { return float64(s.load.Running) })
	p.single("num_requests_waiting", "gauge", "Requests waiting to be admitted.", func(s *stats) float64 { return float64(s.load.Waiting) })
	p.family("num_requests_waiting_by_reason", "gauge", "Waiting requests by reason.", func(m *model, labels string) {
		p.line("num_requests_waiting_by_reason", labels+`,reason="capacity"`, float64(m.stats.load.Waiting))
		p.line("num_requests_waiting_by_reason", labels+`,reason="deferred"`, 0)
	})
	p.single("kv_cache_usage_perc", "gauge", "Share of KV blocks in use; 1 is full.", func(s *stats) float64 {
		return float64(s.load.UsedBlocks) / float64(s.load.Blocks)
	})
	p.family("cache_config_info", "gauge", "KV cache constants.", func(m *model, labels string) {
		p.line("cache_config_info", labels+`,block_size="`+strconv.Itoa(m.Profile.BlockSize)+
			`",enable_prefix_caching="True",num_gpu_blocks="`+strconv.Itoa(m.Profile.Blocks())+`"`, 1)
	})
}

func (p *page) totals() {
	p.single("prefix_cache_queries_total", "counter", "Prompt tokens looked up in the prefix cache.", func(s *stats) float64 { return float64(s.counters.PrefixQueries) })
	p.single("prefix_cache_hits_total", "counter", "Prompt tokens found in the prefix cache.", func(s *stats) float64 { return float64(s.counters.PrefixHits) })
	p.single("num_preemptions_total", "counter", "Sequences preempted for lack of KV blocks.", func(s *stats) float64 { return float64(s.counters.Preemptions) })
	p.single("prompt_tokens_total", "counter", "Prompt tokens of requests that got their first token.", func(s *stats) float64 { return float64(s.prompt) })
	p.single("generation_tokens_total", "counter", "Tokens generated.", func(s *stats) float64 { return float64(s.output) })
	p.family("admission_rejections_total", "counter", "Requests refused before the queue.", func(m *model, labels string) {
		p.line("admission_rejections_total", labels+`,reason="queue_full"`, float64(m.stats.refused))
	})
}
