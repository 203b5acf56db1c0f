package importer

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// importer is one run.
type importer struct {
	*Report
	read        func(name string) ([]byte, error)
	root        node
	targets     []*target
	deployments []*deployment
	groups      []string // names of models, in the order of the file
	aliases     []field
	fallbacks   map[string][]fallback

	total, stream time.Duration
	attempts      int
	backoff       time.Duration
	policy        string // of pools, by the routing strategy; empty shares by weight
	master        string // reference
}

// fallback is one step of a chain.
type fallback struct {
	to string
	on string // the fault after which it is asked; empty: any that another target could mend
	at node
}

// LiteLLM turns a LiteLLM config into a file of ours. read gives the bytes of
// the file called name, and of those that it includes, whose names are relative
// to it. The error says why nothing can be made of it; the text is a file that
// `tailplane check` accepts once what the report refuses is mended.
func LiteLLM(name string, read func(name string) ([]byte, error)) ([]byte, *Report, error) {
	im := &importer{Report: &Report{told: map[string]bool{}}, read: read, fallbacks: map[string][]fallback{}}
	roots, err := im.load(name)
	if err != nil {
		return nil, nil, err
	}
	im.root = roots[0]
	for _, r := range roots {
		im.root = r
		for _, n := range r.get("model_list").items() {
			im.deploy(n)
		}
	}
	for _, r := range roots {
		im.settings(r)
	}
	im.collect()
	im.settle()
	models := im.models()
	for _, r := range roots {
		im.rest(r)
	}
	im.sort()
	return im.write(name, models), im.Report, nil
}

// mostFiles bounds what a config includes.
const mostFiles = 50

// load reads a file and those that it includes.
func (im *importer) load(name string) ([]node, error) {
	text, err := im.read(name)
	if err != nil {
		return nil, err
	}
	im.files = append(im.files, name)
	root, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	out := []node{root}
	for _, n := range root.get("include").items() {
		file := n.text()
		if !path.IsAbs(file) {
			file = path.Join(path.Dir(name), file)
		}
		if slices.Contains(im.files, file) || len(im.files) >= mostFiles {
			im.refused(n, "it is included already, or there are too many files")
			continue
		}
		more, err := im.load(file)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: include: %w", name, n.y.Line, err)
		}
		im.mapped(n, "read")
		out = append(out, more...)
	}
	return out, nil
}

// settings reads what is not model_list.
func (im *importer) settings(r node) {
	router, library, general := r.get("router_settings"), r.get("litellm_settings"), r.get("general_settings")
	im.router(router)
	for _, s := range []node{router, library} {
		im.chains(s)
		im.retries(s)
	}
	for _, n := range []node{library.get("request_timeout"), router.get("timeout")} {
		if t := im.seconds(n); t > 0 {
			im.total = t
			im.mapped(n, "timeouts.total: %s", duration(t))
		}
	}
	if n := router.get("stream_timeout"); n.there() {
		if im.stream = im.seconds(n); im.stream > 0 {
			im.mapped(n, "timeouts.first_token: %s", duration(im.stream))
		}
	}
	if n := library.get("drop_params"); n.there() {
		im.approximated(n, "what a target cannot say is always left out, and told as a loss")
	}
	for _, name := range []string{"set_verbose", "json_logs"} {
		if n := library.get(name); n.there() {
			im.approximated(n, "how the log is written is a flag of serve: --log")
		}
	}
	im.general(general)
}

func (im *importer) general(g node) {
	master := g.get("master_key")
	ref, ok := reference(master.text())
	switch {
	case ok:
		im.master = ref
		im.mapped(master, "keys.static: %s", ref)
	case master.there():
		im.master = "env:LITELLM_MASTER_KEY"
		im.refused(master, "a secret is never written into a config: put it into the environment variable LITELLM_MASTER_KEY")
	}
	if n := g.get("max_parallel_requests"); n.there() {
		im.refused(n, "limits are those of targets: see limits.in_flight")
	}
}

// policies are what LiteLLM's strategies are called here.
var policies = map[string]string{
	"least-busy": "least_request", "latency-based-routing": "lowest_latency", "cost-based-routing": "lowest_cost",
}

func (im *importer) router(r node) {
	if n := r.get("routing_strategy"); n.there() {
		switch im.policy = policies[n.text()]; {
		case n.text() == "simple-shuffle":
			im.mapped(n, "weights share the traffic")
		case im.policy != "":
			im.approximated(n, "deployments of one model become a pool with the policy %s; others share the traffic by weight", im.policy)
		default:
			im.approximated(n, "weights share the traffic; see policy: for what else there is")
		}
	}
	if n := r.get("enable_pre_call_checks"); n.there() {
		im.approximated(n, "whether a request fits is seen from the fault: see context_window_fallbacks")
	}
	for _, name := range []string{"allowed_fails", "cooldown_time", "allowed_fails_policy"} {
		if n := r.get(name); n.there() {
			im.approximated(n, "a target that fails again and again is left alone by a rule of its own")
		}
	}
	alias := r.get("model_group_alias")
	for _, e := range alias.members(0) {
		to := e.value
		if e.value.isMap() {
			if to = e.value.get("model"); e.value.get("hidden").there() {
				im.approximated(e.value.get("hidden"), "the name is listed like every other")
			}
		}
		if to.text() == "" || to.text() == e.name {
			im.refused(e.value, "it leads nowhere")
			continue
		}
		im.aliases = append(im.aliases, field{e.name, to.text()})
		im.mapped(to, "models.%s", word(e.name))
	}
}

// mostAttempts is what retry.attempts may be.
const mostAttempts = 10

// retries takes over how often is tried again.
func (im *importer) retries(s node) {
	if n := s.get("num_retries"); n.there() {
		im.again(n, n.text())
	}
	if n := s.get("retry_after"); n.there() {
		if t := im.seconds(n); t > 0 {
			im.backoff = min(t, 10*time.Minute)
			im.approximated(n, "retry.backoff: %s, which a wait is drawn below; a provider's own Retry-After is always obeyed", duration(im.backoff))
		} else if n.text() == "0" {
			im.told[n.id()] = false
			im.approximated(n, "waits are drawn below retry.backoff; a provider's own Retry-After is always obeyed")
		}
	}
	if p := s.get("retry_policy"); p.there() {
		most := 0
		for _, e := range p.members(0) {
			if v, err := strconv.Atoi(e.value.text()); err == nil {
				most = max(most, v)
			}
		}
		im.attempts = max(im.attempts, min(most+1, mostAttempts))
		im.approximated(p, "retry.attempts: %d; which faults are tried again is known from their kind", im.attempts)
	}
	if p := s.get("model_group_retry_policy"); p.there() {
		im.approximated(p, "which faults are tried again is known from their kind: see models.NAME.retry.attempts")
	}
}

func (im *importer) again(n node, text string) {
	v, err := strconv.Atoi(text)
	if err != nil || v < 0 {
		im.refused(n, "it is no count")
		return
	}
	im.attempts = max(im.attempts, min(v+1, mostAttempts))
	if v+1 > mostAttempts {
		im.approximated(n, "retry.attempts: %d, the most there is", mostAttempts)
		return
	}
	im.mapped(n, "retry.attempts: %d", v+1)
}

// chains reads the three kinds of fallbacks. They may stand in either section.
func (im *importer) chains(s node) {
	for _, c := range []struct{ name, on string }{
		{"fallbacks", ""}, {"context_window_fallbacks", "context_too_long"}, {"content_policy_fallbacks", "content_filter"},
	} {
		for _, item := range s.get(c.name).items() {
			for _, e := range item.members(0) {
				im.chain(e, c.on)
			}
		}
	}
	for _, n := range s.get("default_fallbacks").items() {
		im.chain(entry{"*", n}, "")
	}
}

func (im *importer) chain(e entry, on string) {
	for _, to := range e.value.items() {
		if to.text() == "" {
			im.refused(to, "a fallback with parameters of its own has no counterpart: make a model of it")
			continue
		}
		im.fallbacks[e.name] = append(im.fallbacks[e.name], fallback{to.text(), on, to})
	}
}

// collect lists the names of models, and spreads fallbacks of all of them.
func (im *importer) collect() {
	for _, d := range im.deployments {
		if !d.wild && !slices.Contains(im.groups, d.group) {
			im.groups = append(im.groups, d.group)
		}
	}
	im.aliases = slices.DeleteFunc(im.aliases, func(a field) bool { return slices.Contains(im.groups, a.name) })
	everywhere := im.fallbacks["*"]
	delete(im.fallbacks, "*")
	for _, f := range everywhere {
		for _, g := range im.groups {
			has := slices.ContainsFunc(im.fallbacks[g], func(o fallback) bool { return o.to == f.to && o.on == f.on })
			if g != f.to && !has {
				im.fallbacks[g] = append(im.fallbacks[g], f)
			}
		}
	}
}

// leads reports whether a name leads somewhere.
func (im *importer) leads(name string) bool {
	if slices.Contains(im.groups, name) || slices.ContainsFunc(im.aliases, func(a field) bool { return a.name == name }) {
		return true
	}
	return slices.ContainsFunc(im.targets, func(t *target) bool {
		return len(name) > len(t.name)+1 && strings.HasPrefix(name, t.name+"/")
	})
}
