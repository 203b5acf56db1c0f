package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"tailplane/internal/config"
	"tailplane/internal/egress"
	"tailplane/internal/engine"
	"tailplane/internal/policy"
	"tailplane/internal/secret"
	"tailplane/internal/upstream"
)

// simTarget is the name of the simulated engine's target.
const simTarget = "sim"

// probeTime is how long engines on this machine have to answer.
const probeTime = 300 * time.Millisecond

// detection is what was found on this machine without a config.
type detection struct {
	engines []engine.Found
	keys    []foundKey
	skipped []skippedKey
}

type foundKey struct {
	kind   *upstream.Kind
	config upstream.Config
	env    string
	hint   string
}

// skippedKey is a key that makes no target, because of what stands beside it.
type skippedKey struct{ kind, env, variable string }

// detect looks for keys in the environment and for engines on some ports of the
// loopback address, as long as ctx lasts. It sends GET requests to this machine and
// nothing anywhere else. own is the address of the API that will be served.
func detect(ctx context.Context, network *egress.Network, ports []int, own string) (detection, error) {
	var d detection
	network.Enforce(egress.Config{Default: "deny"}, probes(ports))
	dialer, err := network.Dialer(egress.Way{})
	if err != nil {
		return d, err
	}
	client := dialer.HTTPClient("looking for engines")
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer client.CloseIdleConnections()
	for _, k := range upstream.Kinds() {
		if config, env, ok := k.FromEnv(environment(own)); ok {
			d.keys = append(d.keys, foundKey{k, config, env, secret.Plain(os.Getenv(env)).Hint()})
		} else if env, variable := k.Unusable(environment(own)); env != "" {
			d.skipped = append(d.skipped, skippedKey{k.Name, env, variable})
		}
	}
	found := make(chan engine.Found)
	var wg sync.WaitGroup
	for _, port := range ports {
		wg.Go(func() {
			if f, ok := askEngine(ctx, client, port); ok {
				found <- f
			}
		})
	}
	go func() { wg.Wait(); close(found) }()
	for f := range found {
		d.engines = append(d.engines, f)
	}
	slices.SortFunc(d.engines, func(a, b engine.Found) int { return a.Port - b.Port })
	return d, nil
}

// environment is what the environment says, without what is not for us.
func environment(own string) func(name string) string {
	return func(name string) string {
		if text := os.Getenv(name); usable(text) && !leadsTo(text, own) {
			return text
		}
		return ""
	}
}

// leadsTo reports whether a text is the address of a listener of this machine, as
// `eval "$(tailplane env)"` leaves it behind.
func leadsTo(text, own string) bool {
	_, rest, isURL := strings.Cut(text, "://")
	at, _, _ := strings.Cut(rest, "/")
	host, port, err := net.SplitHostPort(at)
	_, ownPort, _ := net.SplitHostPort(own)
	ip := net.ParseIP(host)
	return isURL && err == nil && port == ownPort && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// usable reports whether a key of the environment is a provider's. One of our
// own is there because of `eval "$(tailplane env)"`: using it would make us call
// ourselves.
func usable(text string) bool {
	return text != "" && !policy.WellFormed(text) && !strings.ContainsAny(text, "\r\n")
}

// askEngine asks one port for its models.
func askEngine(ctx context.Context, client *http.Client, port int) (engine.Found, bool) {
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/v1/models"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return engine.Found{}, false
	}
	resp, err := client.Do(req)
	if err != nil {
		return engine.Found{}, false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		return engine.Found{}, false
	}
	return engine.Identify(port, resp.Header.Get("Server"), body)
}

// zeroConfig is the file that what was found amounts to.
func zeroConfig(d detection) *config.File {
	f := config.Default()
	f.Name, f.Hash = "zero-config", "zero-config"
	f.Targets = map[string]upstream.Config{simTarget: {Kind: "sim", Models: []string{"fast", "slow"}}}
	for i, e := range d.engines {
		f.Targets[d.name(i)] = upstream.Config{Kind: e.Kind, URL: "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(e.Port)), Models: e.Models}
	}
	for _, k := range d.keys {
		f.Targets[k.kind.Name] = k.config
	}
	return f
}

// name is what the target of an engine is called: its kind, and its port where
// another one of that kind comes before it.
func (d *detection) name(i int) string {
	e := d.engines[i]
	if slices.ContainsFunc(d.engines[:i], func(other engine.Found) bool { return other.Kind == e.Kind }) {
		return e.Kind + "-" + strconv.Itoa(e.Port)
	}
	return e.Kind
}

// Detected renders what was found on this machine as a config file: the bridge
// from a first try to production.
func Detected(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	d, err := detect(ctx, egress.New(egress.Options{}), engine.Ports(), config.Default().Listen.Data.Addr)
	return d.yaml(), err
}

func (d *detection) yaml() string {
	var b strings.Builder
	b.WriteString("# What `tailplane serve` finds on this machine without a config, written down.\nversion: 1\n\n")
	b.WriteString("listen:\n  data:  {addr: 127.0.0.1:4600}\n  admin: {addr: 127.0.0.1:4601}\n\ntargets:\n")
	b.WriteString("  sim: {kind: sim, models: [fast, slow]} # the simulator: no GPU, no key, no cost\n")
	for _, k := range d.skipped {
		fmt.Fprintf(&b, "  # skipped: %s by %s, since what %s holds is not usable\n", k.kind, k.env, k.variable)
	}
	route := "sim/fast"
	for i, e := range d.engines {
		fmt.Fprintf(&b, "  %s: {kind: %s, url: \"http://127.0.0.1:%d\"} # %s\n", d.name(i), e.Kind, e.Port, oneLine(brief(e.Models)))
		if len(e.Models) > 0 && route == "sim/fast" {
			route = d.name(i) + "/" + e.Models[0]
		}
	}
	for _, k := range d.keys {
		fmt.Fprintf(&b, "  %s: {kind: %s, key: env:%s%s}\n", k.kind.Name, k.kind.Name, k.env, k.place())
	}
	b.WriteString("\nmodels:\n  # The names that your code calls. Candidates are asked in order.\n  chat:\n")
	fmt.Fprintf(&b, "    route: [%q]\n\nkeys:\n  required: true\n", route)
	return b.String()
}

// at tells an address that the environment names.
func (k *foundKey) at() string {
	if k.config.URL == "" {
		return ""
	}
	return " at " + k.config.URL
}

// place is where the target of a key lies, as YAML, for kinds that need telling.
func (k *foundKey) place() string {
	switch {
	case k.config.URL != "":
		return fmt.Sprintf(", url: %q", k.config.URL)
	case k.config.Region != "":
		return ", region: " + k.config.Region
	}
	return ""
}

// oneLine makes a text fit for a comment, whatever an engine calls its models.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
