package app

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"tailplane/internal/admin"
	"tailplane/internal/config"
)

// TestAFileExplainsARequestAlone: rules, labels, the words of a caller and the terms
// of a policy decide as they do while the program runs; nothing is dialed, and
// secrets that nobody has here are not missed.
func TestAFileExplainsARequestAlone(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+ln.Addr().String())
	t.Setenv("VAULT_ADDR", "http://"+ln.Addr().String())
	f, problems := config.Parse("new.yaml", fmt.Appendf(nil, `
targets:
  a: {kind: vllm, url: "http://%[1]s", labels: [eu], key: env:TAILPLANE_TEST_UNSET}
  b: {kind: vllm, url: "http://%[1]s", labels: [eu], headers: {x-secret: env:TAILPLANE_TEST_UNSET}}
  c: {kind: vllm, url: "http://%[1]s", key: vault:secret/c#key}
  d: {kind: vllm, url: "http://%[1]s", labels: [eu], drain: true}
  pods: {kind: vllm, discover: {dns: {name: vllm.models.svc, port: 8000}}}
  cloud: {kind: bedrock, region: eu-west-1}
models:
  m: {pool: [a, b, c, d], served_as: x, require: [eu]}
  p: {pool: [pods], served_as: x, fallback: [cloud/anthropic.claude-x]}
rules: [{name: night, when: 'model == "old"', to: m}]
store: {postgres: env:TAILPLANE_TEST_UNSET}
keys: {pepper: env:TAILPLANE_TEST_UNSET, static: [{name: app, key: env:TAILPLANE_TEST_UNSET, may_route: true}]}
`, ln.Addr()))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	const body = `{"messages":[{"role":"user","content":"hello"}],"provider":{"ignore":["b"]}}`
	for _, c := range []struct {
		order admin.Explain
		why   string
		want  string // of each candidate: its place, and why not
	}{
		{admin.Explain{Model: "old"}, "rule night: the least predicted cost", "a:ranked b:ranked c:0 it is not labelled eu d:0 it is drained"},
		{admin.Explain{Model: "m", Key: "app"}, "the only candidate", "a:1 ranked b:0 the request leaves it out (provider.ignore) c:0 it is not labelled eu d:0 it is drained"},
		{admin.Explain{Model: "p"}, "first of its route", "pods:1 ranked cloud:2"},
	} {
		c.order.Path, c.order.Body = "/v1/chat/completions", json.RawMessage(body)
		e, ok, err := ExplainFile(t.Context(), f, c.order)
		if err != nil || !ok {
			t.Fatalf("%+v: %v, %v", c.order, ok, err)
		}
		var got []string
		for _, p := range e.Candidates {
			one := fmt.Sprintf("%s:%d %s", p.Target, p.Place, p.Not)
			if p.Terms != nil && p.Terms.Cost > 0 {
				one += "ranked"
			}
			got = append(got, strings.TrimSpace(one))
		}
		text := strings.Join(got, " ")
		if c.order.Model == "old" { // which of the two is drawn
			text = strings.NewReplacer("a:1 ", "a:", "a:2 ", "a:", "b:1 ", "b:", "b:2 ", "b:").Replace(text)
		}
		if e.Why != c.why || text != c.want {
			t.Errorf("%s: %q, %q, refused %q; want %q, %q", c.order.Model, e.Why, text, e.Refused, c.why, c.want)
		}
	}
	if _, ok, err := ExplainFile(t.Context(), f, admin.Explain{Model: "m", Key: "nobody", Body: json.RawMessage(body)}); ok || err != nil {
		t.Errorf("a key that is not there: %v, %v", ok, err)
	}
	own, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	first, err := ln.Accept() // connections are accepted in their order
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if first.RemoteAddr().String() != own.LocalAddr().String() {
		t.Error("something was dialed")
	}
	if f.Targets["a"].Key.IsZero() || f.Keys.Static[0].Key.IsZero() || f.Store.IsZero() {
		t.Error("the file was changed")
	}
}
