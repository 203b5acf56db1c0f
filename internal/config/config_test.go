package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/fleet"
	"tailplane/internal/models"
	"tailplane/internal/secret"
)

const small = `# the small example
version: 1
targets:
  openai:    {kind: openai,    key: env:OPENAI_API_KEY}
  anthropic: {kind: anthropic, key: env:ANTHROPIC_API_KEY}
  acme/vllm-a: &engine
    kind: vllm
    url: http://10.2.0.14:8000
    limits: {in_flight: 96}
    capacity: {tokens_per_second: 2500, output_ratio: 1.5, spill_at: 92.5%}
  acme/vllm-b: {<<: *engine, url: "http://10.2.0.15:8000"}
models:
  chat:
    route: [anthropic/claude-sonnet-4-6, {to: openai/gpt-5-mini, weight: 3}]
    timeouts: {first_token: 20s, total: 2m}
  pool: {pool: [acme/vllm-a, acme/vllm-b], served_as: llama, fallback: [chat], prefer: headroom}
listen: {max_body: 8MiB}
ledger: {retention: 30d}
keys:
  required: true
  static: [{name: ci, key: env:CI_KEY}]
`

func TestParseFillsEveryPackagesConfig(t *testing.T) {
	f, problems := Parse("tailplane.yaml", []byte(small))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	b := f.Targets["acme/vllm-b"]
	checks := []struct{ got, want any }{
		{f.Targets["openai"].Key, secret.Env("OPENAI_API_KEY")},
		{b.URL, "http://10.2.0.15:8000"},
		{b.Limits.InFlight, 96}, // merged in
		{b.Capacity, fleet.Config{TokensPerSecond: 2500, OutputRatio: 1.5, SpillAt: .925}},
		{f.Models["chat"].Route[0].To, "anthropic/claude-sonnet-4-6"},
		{f.Models["chat"].Route[1].Weight, models.Weight(3)},
		{f.Models["chat"].Timeouts.FirstToken, 20 * time.Second},
		{f.Models["pool"].ServedAs, "llama"},
		{f.Models["pool"].Prefer, models.PreferHeadroom},
		{f.Listen.MaxBody, int64(8 << 20)},
		{f.Listen.Data.Addr, "127.0.0.1:4600"}, // default
		{f.Ledger.Retention, 30 * 24 * time.Hour},
		{*f.Keys.Required, true},
		{f.Keys.Static[0].Name, "ci"},
		{len(f.Hash), 12},
	}
	for i, c := range checks {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			t.Errorf("check %d: %v, want %v", i, c.got, c.want)
		}
	}
}

// TestEveryProblemIsToldAtItsPlace is the promise of `tailplane check`.
func TestEveryProblemIsToldAtItsPlace(t *testing.T) {
	cases := []struct{ name, yaml, want string }{
		{"unknown key", "version: 1\nmodles: {}\n", `f.yaml:2:1: there is no key "modles" in the file; use one of version, site, listen, egress, targets, models, rules, timeouts, retry, health, keys, auth, organisations, teams, customers, store, gossip, ledger, notify, catalog; did you mean "models"?`},
		{"unknown key inside", "models:\n  a:\n    route: [x/y]\n    fallbak: [b]\ntargets: {x: {kind: sim}}\n", `f.yaml:4:5: there is no key "fallbak" in models.a; use one of route, pool, served_as, adapter_of, prefill, fallback, policy, queue, complexity, outcomes, embeddings, require, prefer, limits, timeouts, retry, hedge; did you mean "fallback"?`},
		{"a queue that nobody waits in", "targets: {x: {kind: sim}}\nmodels:\n  a: {route: [x/y], queue: {max_wait: 1s}}\n", `f.yaml:3:28: no policy chooses among the candidates, so that nothing waits for them; use a pool, or give the route a policy; or leave it out`},
		{"a queue out of range", "targets: {x: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: y, queue: {max_wait: 2h}}\n", `f.yaml:3:50: 2h0m0s is out of range; 1ms to 1h, or leave it out`},
		{"a priority that there is not", "customers:\n  a: {priority: urgent}\n", `f.yaml:2:17: "urgent" is no priority; use high, normal or low, or leave it out`},
		{"a policy by what nobody publishes", "targets: {x: {kind: openai, key: env:K}, y: {kind: llamacpp, url: http://y}}\nmodels:\n  a: {route: [x/m, y/m], policy: llmd}\n", `f.yaml:3:34: llmd needs what none of the targets publishes: kv_usage; use auto, which does without, or targets with metrics, such as kind: vllm`},
		{"a share of second attempts", "targets: {x: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: y, hedge: 50%}\n", `f.yaml:3:39: "50%" is no share of requests; write 1% to 10%, or off`},
		{"an adapter of itself", "targets: {x: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: y, adapter_of: y}\n", `f.yaml:3:44: "y" is no adapter of itself; name the base model as the targets call it; or leave it out`},
		{"nobody to ask beside", "targets: {x: {kind: sim}}\nmodels:\n  a: {route: [x/y], hedge: 2%}\n", `f.yaml:3:28: no policy chooses among the candidates, so that there is nobody to ask beside the first; use a pool, or give the route a policy; or leave it out`},
		{"cache events of many", "targets:\n  x: {kind: vllm, discover: {dns: {name: a.b, port: 80}}, kv_events: {endpoint: \"tcp://a:5557\"}}\n", `f.yaml:2:81: every replica would be taken for the engine that publishes there; write tcp://*:PORT: each at its own host`},
		{"a prefill side of a route", "targets: {x: {kind: sim}, y: {kind: sim}}\nmodels:\n  a: {route: [x/m], prefill: {pool: [y], convention: vllm}}\n", `f.yaml:3:30: the prefill side of a model belongs to a pool that decodes, and this model has none; use pool and served_as instead of a route, or leave it out`},
		{"no convention", "targets: {x: {kind: sim}, y: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: m, prefill: {pool: [y]}}\n", "f.yaml:3:41: the engines are not told of each other; add `convention:` with one of llm-d, vllm, vllm-p2p"},
		{"a convention that there is not", "targets: {x: {kind: sim}, y: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: m, prefill: {pool: [y], convention: vlm}}\n", `f.yaml:3:65: there is no convention "vlm"; use one of llm-d, vllm, vllm-p2p; did you mean "vllm"?`},
		{"a prefill side of nobody", "targets: {x: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: m, prefill: {convention: vllm}}\n", "f.yaml:3:41: nobody computes the prompts; add `pool: [TARGET, ...]`"},
		{"a prefill target that there is not", "targets: {x: {kind: sim}, yy: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: m, prefill: {pool: [yyy], convention: vllm}}\n", `f.yaml:3:49: there is no target "yyy"; name one of the targets; did you mean "yy"?`},
		{"an engine on both sides", "targets: {x: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: m, prefill: {pool: [x], convention: vllm}}\n", `f.yaml:3:49: target "x" decodes in the model's pool; keep it on one side`},
		{"a threshold out of range", "targets: {x: {kind: sim}, y: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: m, prefill: {pool: [y], convention: vllm, threshold: -1}}\n", `f.yaml:3:82: -1 is out of range; use a number of tokens from 1, or leave it out for 256`},
		{"a prefill timeout out of range", "targets: {x: {kind: sim}, y: {kind: sim}}\nmodels:\n  a: {pool: [x], served_as: m, prefill: {pool: [y], convention: vllm, timeout: 48h}}\n", `f.yaml:3:80: 48h0m0s is out of range; use 1ms to 24h, or leave it out`},
		{"connectors without a port", "targets: {x: {kind: vllm, url: 'http://x'}, y: {kind: vllm, url: 'http://y', kv_port: 1}}\nmodels:\n  a: {pool: [x], served_as: m, prefill: {pool: [y], convention: vllm-p2p}}\n", "f.yaml:3:14: vllm-p2p needs the port of target \"x\"'s KV connector; add `kv_port: PORT` to the target, as in its engine's --kv-transfer-config"},
		{"a port that is none", "targets: {x: {kind: vllm, url: 'http://x', kv_port: 70000}}\n", `f.yaml:1:53: 70000 is no port; use 1 to 65535, or leave it out`},
		{"llmd on the prefill side", "targets: {x: {kind: vllm, url: 'http://x'}, y: {kind: llamacpp, url: 'http://y'}}\nmodels:\n  a: {pool: [x], served_as: m, policy: llmd, prefill: {pool: [y], convention: vllm}}\n", `f.yaml:3:40: llmd needs what none of the targets publishes: kv_usage; use auto, which does without, or targets with metrics, such as kind: vllm`},
		{"a share without its sign", "targets:\n  x: {kind: sim, capacity: {input_tpm: 5, spill_at: 90}}\n", `f.yaml:2:53: "90" is not a share; write one such as 90%`},
		{"units that are not sold", "targets:\n  x: {kind: sim, capacity: {ptu: 7, model: gpt-5.2}}\n", `f.yaml:2:34: gpt-5.2 is not deployed with 7 units; use 15 or more, in steps of 5`},
		{"nothing to prefer", "targets: {x: {kind: sim}}\nmodels:\n  a: {route: [x/y], prefer: headroom}\n", `f.yaml:3:29: no two candidates share traffic, so there is nothing to prefer; give neighbours of the route a weight, or use a pool`},
		{"dangling reference", "targets: {x: {kind: sim}}\nmodels:\n  a: {route: [y/z]}\n", `f.yaml:3:15: "y/z" is neither a model nor TARGET/MODEL of a known target; write TARGET/MODEL; did you mean "a" or "x"?`},
		{"a target without its model", "targets: {x: {kind: sim}}\nmodels:\n  a: {route: [x]}\n", `f.yaml:3:15: "x" is a target, without the model to ask there; write x/MODEL`},
		{"a weight of nothing", "targets: {x: {kind: sim}}\nmodels:\n  a: {route: [{to: x/y, weight: 0}, {to: x/z, weight: 1}]}\n", `f.yaml:3:33: "0" is not a weight; use a whole number from 1 to 1000000, leave it out, or remove the candidate that is to get nothing`},
		{"a key that is to rest", "targets:\n  x: {kind: openai, keys: [{key: env:A, weight: 0}]}\n", `f.yaml:2:49: "0" is not a weight; use a whole number from 1 to 1000000, leave it out, or remove the key that is to rest`},
		{"a weight without bound", "targets: {x: {kind: sim}}\nmodels:\n  a: {route: [{to: x/y, weight: 9000000000}]}\n", `f.yaml:3:33: "9000000000" is not a weight`},
		{"a listener's port that is none", "listen: {data: {addr: '127.0.0.1:99999'}}\n", `f.yaml:1:23: "127.0.0.1:99999" is not an address; write HOST:PORT, such as 127.0.0.1:4600`},
		{"a target's port that is none", "targets:\n  x: {kind: vllm, url: 'http://h:99999'}\n", "f.yaml:2:24: the port of the address is none of 1 to 65535"},
		{"two documents", "version: 1\n---\n# the other\nversion: 1\n", "f.yaml:4:1: here a second document begins, and a config is one; join the two, or remove one of them"},
		{"a document after the end", "version: 1\n...\nmodels: {}\n", "f.yaml:3:1: here a second document begins"},
		{"a second document that is broken", "version: 1\n---\na: [\n", "f.yaml:4:1: this is not YAML"},
		{"Latin-1", "version: 1\ntargets: {caf\xc3\xa9: {kind: sim, models: [\xe9]}}\n", "f.yaml:2:38: this is not UTF-8; save the file as UTF-8"},
		{"cycle", "targets: {x: {kind: sim}}\nmodels:\n  a: {route: [x/y], fallback: [b]}\n  b: {route: [x/y], fallback: [a]}\n", "f.yaml:3:3: the model leads back to itself: a -> b -> a; remove one of these references\nf.yaml:4:3: the model leads back to itself: b -> a -> b; remove one of these references"},
		{"literal secret", "targets:\n  x: {kind: openai, key: sk-live-abcdefghijklmnop}\n", "f.yaml:2:26: a secret must be a reference, never the secret itself; write env:NAME or file:/path"},
		{"duration", "timeouts: {idle: 10}\n", `f.yaml:1:18: "10" is not a duration; write a number with a unit, such as 500ms, 30s, 2m or 7d`},
		{"kind", "targets:\n  x: {kind: vlm, url: http://h:1}\n", `f.yaml:2:13: there is no kind "vlm"; use one of`},
		{"list", "models:\n  a: {route: x/y}\ntargets: {x: {kind: sim}}\n", "f.yaml:2:14: here stands a single value; write a list: [A, B]"},
		{"twice", "models: {}\nmodels: {}\n", `f.yaml:2:1: the key "models" stands twice here; keep one of them`},
		{"version", "version: 2\n", "f.yaml:1:10: version 2 is not known; write `version: 1`"},
		{"not YAML", "targets: {x: [}\n", "f.yaml:1:1"},
		{"open to the world", "listen: {data: {addr: 0.0.0.0:4600}}\nkeys: {required: false}\n", "f.yaml:1:23: anybody who can reach this address could call without a key"},
		{"admin for other machines", "listen: {admin: {addr: 0.0.0.0:4601}}\n", "f.yaml:1:24: other machines can reach the admin listener, and it is not encrypted; add `listen.admin.tls`, or listen on 127.0.0.1"},
		{"admin for nobody", "listen:\n  admin: {addr: 0.0.0.0:4601, tls: {cert: env:A, key: env:B}}\nauth: {links: false}\n", "f.yaml:2:17: other machines can reach the admin listener, and nobody there can log in; add `auth.oidc` or allow `auth.links`"},
		{"half a certificate", "listen:\n  data: {tls: {cert: env:A}}\n", "f.yaml:2:15: TLS needs a certificate and its key; add `cert: file:/path`"},
		{"a certificate far away", "listen:\n  data: {tls: {cert: env:A, key: 'vault:kv/x#k'}}\n", "f.yaml:2:34: a listener does not wait for the network; use file: or env:"},
		{"client certificates of nobody", "listen:\n  data: {tls: {cert: env:A, key: env:B, client: require}}\n", "f.yaml:2:49: nobody signs the certificates that are wanted; add `client_ca: file:/path`"},
		{"client certificates, perhaps", "listen:\n  data: {tls: {cert: env:A, key: env:B, client_ca: env:C, client: maybe}}\n", `f.yaml:2:67: "maybe" is not a choice; use require or request`},
		{"a role that there is not", "auth:\n  oidc: {issuer: 'https://l', client_id: c}\n  roles: {operater: [group:sre]}\n", `f.yaml:3:11: there is no role "operater"; use one of owner, operator, finance, viewer, gpu-team, customer-viewer; did you mean "operator"?`},
		{"a role of nobody", "auth:\n  oidc: {issuer: 'https://l', client_id: c}\n  roles: {operator: [sre]}\n", `f.yaml:3:22: "sre" names neither a user nor a group; write user:NAME or group:NAME`},
		{"a customer-viewer of nothing", "auth:\n  oidc: {issuer: 'https://l', client_id: c}\n  roles: {customer-viewer: [{group: a}]}\n", "f.yaml:3:29: the entry names no customer that is seen; add `customer: NAME`"},
		{"a literal client secret", "auth: {oidc: {issuer: 'https://l', client_id: c, secret: sk-live}}\n", "f.yaml:1:58: a secret must be a reference"},
		{"price", "targets: {x: {kind: sim, price: {input: cheap, output: 3}}}\n", `f.yaml:1:41: price "cheap": its exponent is not a number`},
		{"bool", "keys: {required: yes}\n", `f.yaml:1:18: "yes" is neither true nor false`},
		{"size", "listen: {max_body: 5 potatoes}\n", `f.yaml:1:20: "5 potatoes" is not a size`},
		{"egress key", "egress: {defualt: deny}\n", `f.yaml:1:10: there is no key "defualt" in egress; use one of default, allow, proxy, proxy_auth, no_proxy, ca, client_cert, source_address; did you mean "default"?`},
		{"egress choice", "egress:\n  default: denied\n", `f.yaml:2:12: "denied" is not a choice; use allow or deny`},
		{"egress pattern", "egress:\n  allow: [a:1, api.example.com]\n", `f.yaml:2:16: "api.example.com" does not say which host and port; write HOST:PORT`},
		{"a proxy with a password", "egress:\n  proxy: http://me:sk-live@proxy\n", "f.yaml:2:10: the address contains a user name or password; name them with proxy_auth"},
		{"a proxy with a short password", "egress:\n  proxy: http://me:pw-live@proxy\n", "f.yaml:2:10: the address contains a user name or password"},
		{"a literal login", "egress: {proxy: 'http://p', proxy_auth: 'me:sk-live'}\n", "f.yaml:1:41: a secret must be a reference"},
		{"egress of a target", "targets:\n  x: {kind: openai, egress: {address: 'a b'}}\n", `f.yaml:2:39: "a b" is not the address of a host; write HOST or HOST:PORT`},
		{"metadata", "targets:\n  x: {kind: vllm, url: 'http://169.254.169.254'}\n", "f.yaml:2:24: 169.254.169.254 is the metadata address of most clouds; if that is wanted, add 169.254.169.254:80 to egress.allow"},
		{"link-local by its endpoint", "targets:\n  x: {kind: openai, egress: {address: 169.254.1.1}}\n", "f.yaml:2:39: 169.254.1.1 is link-local; if that is wanted, add 169.254.1.1:443 to egress.allow"},
		{"dangling team", "teams: {red: {}}\ncustomers:\n  acme.com: {team: rad}\n", "f.yaml:3:20: there is no team \"rad\"; define it in `teams:`; did you mean \"red\"?"},
		{"dangling key", "keys:\n  static: [{name: a}]\n  mtls: [{match: '*.x', key: b}]\n", "f.yaml:2:12: key \"a\" has no reference to its text, and no rule leads to it; add `key: env:NAME` or `key: file:/path`\nf.yaml:3:30: there is no key \"b\" in the file"},
		{"unknown customers", "keys: {unknown_customer: make}\n", `f.yaml:1:26: "make" is nothing that can be done; write reject (the default) or quarantine`},
		{"network", "keys: {static: [{name: a, key: env:A, networks: [10.0.0.0/8, ten]}]}\n", `f.yaml:1:62: "ten" is no network; write one such as 10.0.0.0/8, or an address`},
		{"name", "targets:\n  \"a b\": {kind: sim}\n", `f.yaml:2:3: "a b" cannot be the name of a target`},
	}
	for _, c := range cases {
		_, problems := Parse("f.yaml", []byte(c.yaml))
		var lines []string
		for _, p := range problems {
			lines = append(lines, p.String())
			if strings.Contains(p.String()+p.Excerpt(), "-live") {
				t.Errorf("%s: a secret is shown", c.name)
			}
		}
		if _, here := ParseHere("f.yaml", []byte(c.yaml)); !within(here, problems) {
			t.Errorf("%s: with what cannot be read here it is\n%v", c.name, here)
		}
		got := strings.Join(lines, "\n")
		if c.name == "not YAML" {
			if len(problems) != 1 || !strings.Contains(got, "this is not YAML") {
				t.Errorf("%s: %s", c.name, got)
			}
			continue
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// within reports whether a list has all of another one in its order, and no place
// with the same words twice.
func within(list, all []Problem) bool {
	told := map[string]bool{}
	for _, p := range list {
		place := fmt.Sprintf("%d:%d: %s", p.Line, p.Col, p.Wrong)
		if told[place] {
			return false
		}
		told[place] = true
		if len(all) > 0 && p == all[0] {
			all = all[1:]
		}
	}
	return len(all) == 0
}

// TestWhatCannotBeReadHereIsToldBesideTheRest: nobody mends a file twice because
// its typing errors hid a key that is not set.
func TestWhatCannotBeReadHereIsToldBesideTheRest(t *testing.T) {
	text := "targets:\n  a: {kind: openai, key: env:TAILPLANE_TEST_NOT_SET}\n  b: {kind: nope}\negress: {ca: file:/nowhere.pem, proxy: 'no proxy'}\n"
	_, problems := ParseHere("f.yaml", []byte(text))
	var at []string
	for _, p := range problems {
		at = append(at, fmt.Sprintf("%d:%d", p.Line, p.Col))
	}
	if got, want := strings.Join(at, " "), "2:26 3:13 4:14 4:40"; got != want {
		t.Errorf("problems at %s, want %s\n%v", got, want, problems)
	}
}

func TestAllProblemsAreToldAtOnceInOrder(t *testing.T) {
	text := "version: 3\ntargets:\n  x: {knd: sim}\n  y: {kind: nope}\nmodels:\n  a: {route: [q/r], retry: {attempts: 99}}\ntimeouts: {idle: soon}\n"
	_, problems := Parse("f.yaml", []byte(text))
	var at []string
	for _, p := range problems {
		at = append(at, fmt.Sprintf("%d:%d", p.Line, p.Col))
	}
	want := "1:10 3:3 3:7 4:13 6:15 6:39 7:18"
	if got := strings.Join(at, " "); got != want {
		t.Errorf("problems at %s, want %s\n%v", got, want, problems)
	}
}

func TestTheExcerptPointsAtThePlace(t *testing.T) {
	_, problems := Parse("f.yaml", []byte("models:\n  a:\n    fallbak: [b]\n"))
	want := "    3 |     fallbak: [b]\n      |     ^"
	for _, p := range problems {
		if p.Line == 3 && p.Excerpt() == want {
			return
		}
	}
	t.Errorf("no excerpt\n%s\nin %v", want, problems)
}

// TestTheExcerptCountsColumnsAsThePlaceDoes: letters of several bytes stand in one
// column each.
func TestTheExcerptCountsColumnsAsThePlaceDoes(t *testing.T) {
	_, problems := Parse("f.yaml", []byte("targets: {sim: {kind: sim}} # größer\nmodels: {größe: {rout: [a]}}\n"))
	want := "    2 | models: {größe: {rout: [a]}}\n      |                  ^"
	for _, p := range problems {
		if p.Col == 18 && p.Excerpt() == want {
			return
		}
	}
	t.Errorf("no excerpt\n%s\nin %v", want, problems)
}

// TestTheExcerptLeavesTheTerminalAlone: a line is shown when it is text.
func TestTheExcerptLeavesTheTerminalAlone(t *testing.T) {
	for _, text := range []string{"targts: {} # \x1b[2J\n", "targts: {} # \xff\n", "targts: {} # \u009b2J\n"} {
		_, problems := Parse("f.yaml", []byte(text))
		if len(problems) == 0 {
			t.Errorf("%q is accepted", text)
		}
		for _, p := range problems {
			if p.Excerpt() != "" {
				t.Errorf("%q is shown", p.Excerpt())
			}
		}
	}
}

// TestOneDocumentMayStandBetweenMarks: what templates put around it is no second one.
func TestOneDocumentMayStandBetweenMarks(t *testing.T) {
	for _, text := range []string{"---\nversion: 1\n", "version: 1\n---\n", "---\n# a licence\n---\nversion: 1\n...\n", "\ufeffversion: 1\n", "\xff\xfev\x00e\x00r\x00s\x00i\x00o\x00n\x00:\x00 \x001\x00\n\x00"} {
		if _, problems := Parse("f.yaml", []byte(text)); len(problems) > 0 {
			t.Errorf("%q: %v", text, problems)
		}
	}
}

func TestUnresolvedSecretsAreProblemsWithAPlace(t *testing.T) {
	t.Setenv("CI_KEY", "x")
	f, problems := Parse("f.yaml", []byte(small))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Setenv("OPENAI_API_KEY", "")
	t.Setenv("ANTHROPIC_API_KEY", "k")
	got := f.Secrets([]byte(small))
	if len(got) != 1 || got[0].Line != 4 || !strings.Contains(got[0].Wrong, "OPENAI_API_KEY") {
		t.Errorf("problems %v", got)
	}
}

func TestAliasesThatMultiplyAreRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("models:\n  a0: &a0 {route: [x, x, x, x, x, x, x, x, x, x]}\n")
	b.WriteString("targets: {x: {kind: sim, models: &m0 [a]}}\n")
	for i := range 3 {
		fmt.Fprintf(&b, "l%d: &l%d [*a0, *a0]\n", i, i)
	}
	if _, problems := Parse("f.yaml", []byte(b.String())); len(problems) == 0 {
		t.Error("accepted")
	}
}

// TestFilesThatAreMadeToHurtAreRefusedQuickly: a mapping that merges itself,
// nesting without end, and thousands of problems.
func TestFilesThatAreMadeToHurtAreRefusedQuickly(t *testing.T) {
	var many strings.Builder
	many.WriteString("targets: {x: {kind: sim}}\nmodels:\n")
	for i := range 500 {
		fmt.Fprintf(&many, "  model-%d: {route: [mode-%d/z]}\n", i, i)
	}
	cases := []struct{ name, text, want string }{
		{"merges itself", "targets: &a {<<: *a}\n", "f:1:10: the mapping merges itself in; name the anchor of another one"},
		{"merges itself further down", "targets: &a {x: &b {<<: *a, kind: sim}, <<: *b}\n", "merges itself in"},
		{"merges a list", "targets: {x: &a {<<: [*a]}}", "only a mapping can be merged in"},
		{"deep lists", strings.Repeat("[", 100_000), "this is not YAML"},
		{"deep mappings", strings.Repeat("a: {", 100_000), "this is not YAML"},
		{"many problems", many.String(), "is neither a model nor TARGET/MODEL"},
	}
	for _, c := range cases {
		begin := time.Now()
		_, problems := Parse("f", []byte(c.text))
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: it took %v", c.name, took)
		}
		if got := fmt.Sprint(problems); !strings.Contains(got, c.want) {
			t.Errorf("%s: %.300s", c.name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? [x]\n: y"))
	f.Add([]byte("<<: 3"))
	f.Add([]byte("targets: &a {<<: *a}"))
	f.Add([]byte("targets: &a {x: &b {<<: *a, kind: sim}, <<: *b}"))
	f.Add([]byte("models: {a: {route: [{to: b, weight: -1}]}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, problems := Parse("f.yaml", text)
		for _, p := range problems {
			if p.Line < 1 || p.Col < 1 || p.Wrong == "" || p.Right == "" {
				t.Fatalf("problem without place or words: %+v", p)
			}
		}
	})
}

// TestExamplesAreValid: every example that we ship is a file that we take.
func TestExamplesAreValid(t *testing.T) {
	paths, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := Parse(path, text); len(problems) > 0 {
			t.Error(problems)
		}
	}
}

// TestReferencesOfEgressAreProblemsWithAPlace, each told once: a target that
// repeats what the file says is not told again.
func TestReferencesOfEgressAreProblemsWithAPlace(t *testing.T) {
	text := `egress:
  proxy: env:NOT_SET_PROXY
  ca: /nosuch/ca.pem
targets:
  a: {kind: sim, egress: {proxy: env:NOT_SET_PROXY}}
  b: {kind: sim, egress: {client_cert: {cert: /nosuch/c.pem, key: /nosuch/k.pem}}}
  c: {kind: sim, egress: {proxy: 'env:NOT_SET_EITHER'}}
`
	f, problems := Parse("f.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var at []string
	for _, p := range f.Secrets([]byte(text)) {
		at = append(at, fmt.Sprintf("%d:%d", p.Line, p.Col))
	}
	if want := "2:10 3:7 6:40 7:34"; strings.Join(at, " ") != want {
		t.Errorf("problems at %v, want %s: %v", at, want, f.Secrets([]byte(text)))
	}
}

// TestTheDestinationsAreWhatTheFileLeadsTo, in the example for sites without
// the internet.
func TestTheDestinationsAreWhatTheFileLeadsTo(t *testing.T) {
	text, err := os.ReadFile("../../examples/airgapped.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, problems := Parse("airgapped.yaml", text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, d := range f.Destinations() {
		got = append(got, strings.TrimSuffix(fmt.Sprintf("%s (%s) %s", d.Address, d.Why, d.Via), " "))
	}
	want := []string{
		"10.2.0.200:443 (target azure)",
		"api.openai.com:443 (target openai) proxy.site.internal:3128",
		"proxy.site.internal:3128 (proxy)",
		"169.254.7.2:8000 (target site/edge)",
		"10.2.0.14:8000 (target site/large)",
		"models.site.internal:443 (target site/secure)",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", got)
	}
}

// TestWhoMayCallIsDecoded: every member of every section.
func TestWhoMayCallIsDecoded(t *testing.T) {
	f, problems := Parse("f.yaml", []byte(`
targets: {x: {kind: sim}}
organisations: {corp: {models: ["gpt-*"], limits: {requests: 100/s}}}
teams: {red: {organisation: corp, budgets: [{amount: "500", per: month, hard: true, warn: "50%, 80%"}]}}
customers: {acme: {team: red, limits: {tokens: 40M/d, concurrent: 8}}, old: {disabled: true}}
keys:
  pepper: file:/run/secrets/pepper
  unknown_customer: quarantine
  customer_headers: [x-tenant]
  static:
    - {name: app, key: env:APP, team: red, may_name_customers: true, surfaces: [generate, embed], networks: [10.0.0.0/8], limits: {requests: 10/s}}
    - {name: staff, organisation: corp}
  jwt: [{issuer: "https://login.example", audience: tailplane, match: {groups: llm}, key: staff, customer_claim: tenant}]
  mtls: [{match: "spiffe://corp/*", key: staff, customer: acme}]
`))
	for _, p := range problems {
		t.Error(p)
	}
	s := f.Policy()
	for i, c := range []struct{ got, want any }{
		{s.Organisations["corp"].Models, []string{"gpt-*"}},
		{s.Teams["red"].Organisation, "corp"},
		{len(s.Teams["red"].Budgets), 1},
		{s.Customers["acme"].Limits.Concurrent, 8},
		{s.Customers["old"].Disabled, true},
		{s.Keys.Static[0].MayNameCustomers, true},
		{s.Keys.JWT[0].Match, map[string]string{"groups": "llm"}},
		{s.Keys.MTLS[0].Customer, "acme"},
		{s.Keys.CustomerHeaders, []string{"x-tenant"}},
	} {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			t.Errorf("check %d: %v, want %v", i, c.got, c.want)
		}
	}
}
