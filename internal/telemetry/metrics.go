// Package telemetry holds the name of every metric of the program and the
// access log's writer.
//
// It owns names, labels and buckets. It never measures anything itself, and no
// label of it ever comes from a request: a model or target that the config does
// not name is counted under "_other".
//
// Start reading at [Metrics]. Everything is safe for concurrent use.
package telemetry

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Other is the label of everything that the config does not name.
const Other = "_other"

// Buckets in seconds, dense where service objectives for language models lie
// (reference: the OpenTelemetry defaults are too coarse at 1 to 5 s and end too
// early).
var (
	ttftBuckets     = []float64{.05, .1, .15, .2, .3, .4, .5, .75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300}
	itlBuckets      = []float64{.002, .004, .006, .008, .01, .015, .02, .03, .04, .05, .075, .1, .15, .2, .3, .5, 1, 2, 5, 10, 30}
	durationBuckets = []float64{.25, .5, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200}
	overheadBuckets = []float64{.00005, .0001, .00015, .0002, .0003, .0005, .00075, .001, .002, .005, .01, .05, .25}
	// ratioBuckets are multiples: 1 is exact.
	ratioBuckets = []float64{.1, .25, .5, .75, .9, 1, 1.1, 1.25, 1.5, 2, 4, 10}
)

// Metrics is the set of metrics of one process.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	ttft     *prometheus.HistogramVec
	itl      *prometheus.HistogramVec
	overhead *prometheus.HistogramVec
	tokens   *prometheus.CounterVec
	cost     *prometheus.CounterVec
	unpriced *prometheus.CounterVec
	hedges   *prometheus.CounterVec
	inFlight *prometheus.GaugeVec

	attempts     *prometheus.CounterVec
	upstreamTTFT *prometheus.HistogramVec
	upstreamBusy *prometheus.GaugeVec
	fallbacks    *prometheus.CounterVec
	spills       *prometheus.CounterVec

	estimates *prometheus.HistogramVec

	legs       *prometheus.CounterVec
	legSeconds *prometheus.HistogramVec

	queueWait    *prometheus.HistogramVec
	queueRefused *prometheus.CounterVec
	// Complexity counts decisions between a weak and a strong model; Outcomes who
	// judged answers.
	Complexity *prometheus.CounterVec
	Outcomes   *prometheus.CounterVec

	Refused     *prometheus.CounterVec // before a model was known
	Limited     *prometheus.CounterVec // by our own limits and budgets
	TagsDropped prometheus.Counter
	// BudgetWarnings counts the shares of budgets that were passed.
	BudgetWarnings *prometheus.CounterVec
	LedgerErrors   prometheus.Counter
	LogDropped     prometheus.Counter
	ConfigReloads  *prometheus.CounterVec

	credentialParked *prometheus.CounterVec
	credentialFailed *prometheus.CounterVec

	looks *Looks

	mu        sync.Mutex
	models    map[string]*Model
	upstreams map[string]*Upstream
	queues    map[string]*Queue
}

// New registers every metric.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), models: map[string]*Model{}, upstreams: map[string]*Upstream{}, queues: map[string]*Queue{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tailplane_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tailplane_" + name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tailplane_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.requests = counter("requests_total", "Requests settled.", "model", "outcome", "code_class")
	m.duration = histogram("request_duration_seconds", "Time from the request's head to its last byte.", durationBuckets, "model")
	m.ttft = histogram("ttft_seconds", "Time to the first token that went to the client, of streams.", ttftBuckets, "model")
	m.itl = histogram("itl_seconds", "Gap between two reads of a stream that carried tokens.", itlBuckets, "model")
	m.overhead = histogram("overhead_seconds", "Time spent in the gateway before the first upstream was asked, without what it waited for.", overheadBuckets, "model")
	m.tokens = counter("tokens_total", "Tokens settled.", "model", "direction")
	m.cost = counter("cost_microusd_total", "Cost of priced requests in millionths of a dollar.", "model")
	m.hedges = counter("hedges_total", "Second attempts beside late ones: won, lost, or not made for want of a budget.", "model", "outcome")
	m.unpriced = counter("unpriced_requests_total", "Requests for which no price is known.", "model")
	m.inFlight = gauge("inflight", "Requests being served.", "model")
	m.attempts = counter("upstream_attempts_total", "Calls of targets.", "upstream", "reason", "outcome", "error_class", "phase")
	m.upstreamTTFT = histogram("upstream_ttft_seconds", "Time to a target's first token, per attempt.", ttftBuckets, "upstream")
	m.upstreamBusy = gauge("upstream_inflight", "Requests at a target.", "upstream")
	m.fallbacks = counter("fallback_total", "Requests that went on to another target.", "from", "to", "cause")
	m.spills = counter("spill_total", "Requests that went to another target because the capacity of this one was used up.", "upstream")
	m.Complexity = counter("complexity_decisions_total", "Requests for which a weak or a strong model was chosen, with the reason.", "model", "choice", "reason")
	m.Outcomes = counter("outcomes_total", "Judgements of answers that were kept to learn from, by who judged.", "source")
	m.Refused = counter("refused_total", "Requests refused before a model was known.", "cause")
	m.ConfigReloads = counter("config_reloads_total", "Attempts to load a changed config.", "result")
	m.credentialParked = counter("credential_parked_total", "Times that a provider refused a credential, which was then left alone for a while.", "upstream", "credential", "reason")
	m.credentialFailed = counter("credential_fetch_failures_total", "Times that a token or remote secret could not be had.", "upstream", "credential")
	m.Limited = counter("limited_total", "Requests that a limit or a budget of ours did not allow, by whose it is.", "level", "reason")
	m.BudgetWarnings = counter("budget_warnings_total", "Shares of budgets that were passed, by whose they are.", "level")
	m.TagsDropped = counter("tags_dropped_total", "Tags of callers that were not kept: too many, too long, or not printable.").WithLabelValues()
	m.estimates = histogram("token_estimate_ratio", "Tokens that were reserved for a request, as a multiple of those that it used.", ratioBuckets, "model", "direction")
	m.legs = counter("prefill_legs_total", "Requests of models with a prefill side, by what became of computing their prompts there.", "model", "outcome")
	m.legSeconds = histogram("prefill_leg_seconds", "Time to compute a prompt at the prefill side, of those that the gateway asked for.", ttftBuckets, "model")
	m.queueWait = histogram("queue_wait_seconds", "Time that requests waited for a replica with room, of those that had to.", ttftBuckets, "model")
	m.queueRefused = counter("queue_refused_total", "Requests that were not let through to a replica.", "model", "band", "reason")
	m.looks = newLooks(counter)
	m.LedgerErrors = counter("ledger_errors_total", "Records that the journal did not take.").WithLabelValues()
	m.LogDropped = counter("log_dropped_total", "Log lines dropped because the writer was behind.").WithLabelValues()
	gauge("build_info", "Always 1; the label says what runs.", "version").WithLabelValues(version).Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge registers a figure that is read when somebody looks.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tailplane_" + name, Help: help}, read))
}

// Handler serves the metrics in Prometheus' text formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Model are the handles of one model name, resolved once so that counting costs
// no look-up.
type Model struct {
	name string
	m    *Metrics

	ok       prometheus.Counter
	InFlight prometheus.Gauge
	Duration prometheus.Observer
	TTFT     prometheus.Observer
	ITL      prometheus.Observer
	Overhead prometheus.Observer
	Unpriced prometheus.Counter

	input, cacheRead, cacheWrite, output, reasoning, cost prometheus.Counter

	estimatedIn, estimatedOut prometheus.Observer
}

// Model returns the handles of a model name of the config, or of [Other].
func (m *Metrics) Model(name string) *Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h, ok := m.models[name]; ok {
		return h
	}
	h := &Model{
		name: name, m: m,
		ok:       m.requests.WithLabelValues(name, "ok", "2xx"),
		InFlight: m.inFlight.WithLabelValues(name), Duration: m.duration.WithLabelValues(name),
		TTFT: m.ttft.WithLabelValues(name), ITL: m.itl.WithLabelValues(name), Overhead: m.overhead.WithLabelValues(name),
		Unpriced: m.unpriced.WithLabelValues(name),
		input:    m.tokens.WithLabelValues(name, "input"), cacheRead: m.tokens.WithLabelValues(name, "cached"),
		cacheWrite: m.tokens.WithLabelValues(name, "cache_write"), output: m.tokens.WithLabelValues(name, "output"),
		reasoning: m.tokens.WithLabelValues(name, "reasoning"), cost: m.cost.WithLabelValues(name),
		estimatedIn: m.estimates.WithLabelValues(name, "input"), estimatedOut: m.estimates.WithLabelValues(name, "output"),
	}
	m.models[name] = h
	return h
}

// Leg counts what became of computing a prompt elsewhere, and how long that took where
// it was tried; zero where not.
func (h *Model) Leg(outcome string, took time.Duration) {
	h.m.legs.WithLabelValues(h.name, outcome).Inc()
	if took > 0 {
		h.m.legSeconds.WithLabelValues(h.name).Observe(took.Seconds())
	}
}

// Settled counts one settled request.
func (h *Model) Settled(outcome string, status int) {
	if outcome == "ok" && status/100 == 2 {
		h.ok.Inc()
		return
	}
	h.m.requests.WithLabelValues(h.name, outcome, codeClass(status)).Inc()
}

// Hedge counts what became of a second attempt beside a late one: won, lost, or
// not made for want of a budget.
func (h *Model) Hedge(outcome string) { h.m.hedges.WithLabelValues(h.name, outcome).Inc() }

// Spent counts tokens, and cost in nano-dollars.
func (h *Model) Spent(input, cacheRead, cacheWrite, output, reasoning, nano int64) {
	add := func(c prometheus.Counter, v float64) {
		if v > 0 {
			c.Add(v)
		}
	}
	add(h.input, float64(input))
	add(h.cacheRead, float64(cacheRead))
	add(h.cacheWrite, float64(cacheWrite))
	add(h.output, float64(output))
	add(h.reasoning, float64(reasoning))
	add(h.cost, float64(nano)/1000)
}

// Estimated observes how well tokens were reserved that are settled now.
func (h *Model) Estimated(reservedIn, usedIn, reservedOut, usedOut int64) {
	if usedIn > 0 {
		h.estimatedIn.Observe(float64(reservedIn) / float64(usedIn))
	}
	if usedOut > 0 {
		h.estimatedOut.Observe(float64(reservedOut) / float64(usedOut))
	}
}

func codeClass(status int) string {
	classes := [...]string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"}
	if c := status / 100; c >= 0 && c < len(classes) {
		return classes[c]
	}
	return "5xx"
}

// Upstream are the handles of one target.
type Upstream struct {
	name     string
	m        *Metrics
	firstOK  prometheus.Counter
	TTFT     prometheus.Observer
	InFlight prometheus.Gauge
	Spills   prometheus.Counter
}

// Upstream returns the handles of a target of the config.
func (m *Metrics) Upstream(name string) *Upstream {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h, ok := m.upstreams[name]; ok {
		return h
	}
	h := &Upstream{
		name: name, m: m, firstOK: m.attempts.WithLabelValues(name, "first", "ok", "", ""),
		TTFT: m.upstreamTTFT.WithLabelValues(name), InFlight: m.upstreamBusy.WithLabelValues(name),
		Spills: m.spills.WithLabelValues(name),
	}
	m.upstreams[name] = h
	return h
}

// Attempt counts one call of the target; class and phase are empty for a
// success.
func (h *Upstream) Attempt(reason, class, phase string) {
	if reason == "first" && class == "" {
		h.firstOK.Inc()
		return
	}
	outcome := "ok"
	if class != "" {
		outcome = "fault"
	}
	h.m.attempts.WithLabelValues(h.name, reason, outcome, class, phase).Inc()
}

// Fallback counts a request that goes on from this target to another.
func (h *Upstream) Fallback(to, cause string) {
	h.m.fallbacks.WithLabelValues(h.name, to, cause).Inc()
}

// Parked counts a refusal of one of the target's credentials; name and reason
// are the config's and ours.
func (h *Upstream) Parked(name, reason string) {
	h.m.credentialParked.WithLabelValues(h.name, name, reason).Inc()
}

// FetchFailed counts a token or secret that could not be had.
func (h *Upstream) FetchFailed(name string) {
	h.m.credentialFailed.WithLabelValues(h.name, name).Inc()
}

// Seconds is a duration as Prometheus counts it.
func Seconds(d time.Duration) float64 { return d.Seconds() }
