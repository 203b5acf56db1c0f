package upstream

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"tailplane/internal/llm"
	"tailplane/internal/secret"
)

func TestWordsOfAProviderAreBlankedWhereTheyMayHoldACredential(t *testing.T) {
	cases := []struct{ text, want string }{
		{"Incorrect API key provided: sk-proj-abcdefgh12345678. See the docs.", "Incorrect API key provided: [key]. See the docs."},
		{"Incorrect API key provided: sk-ab*********************wxyz.", "Incorrect API key provided: [key]."},
		{`got header "Authorization: Bearer abcdef0123456789"`, `got header "Authorization: [key]"`},
		{"bad key gsk_0123456789abcdef", "bad key [key]"},
		{"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl refused", "token [key] refused"},
		{"the bearer of bad news", "the bearer of bad news"},
		{"model sk-1 not found; try gpt-5-mini or claude-sonnet-4-6", "model sk-1 not found; try gpt-5-mini or claude-sonnet-4-6"},
		{"risk-adjusted-returns are not a key", "risk-adjusted-returns are not a key"},
		{"request req_011CSdpVQeZ4nKQ6mVxXy2v4 failed", "request req_011CSdpVQeZ4nKQ6mVxXy2v4 failed"},
		{"", ""},
	}
	for _, c := range cases {
		if got := mask(c.text, nil); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.text, got, c.want)
		}
		if again := mask(mask(c.text, nil), nil); again != mask(c.text, nil) {
			t.Errorf("masking twice changes %q", again)
		}
	}
}

// TestATargetsOwnCredentialsNeverComeBack: they have no form by which they
// could be known, so they are looked for as they are.
func TestATargetsOwnCredentialsNeverComeBack(t *testing.T) {
	t.Setenv("OWN_KEY", "correct horse battery staple")
	t.Setenv("OWN_HEADER", "/plain/words/of/a/header/")
	target, err := New("t", Config{
		Kind: "openai-compatible", URL: "http://h:1", Key: secret.Env("OWN_KEY"), Headers: map[string]string{"x-org": "env:OWN_HEADER"},
	}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, header := "correct horse battery staple", "/plain/words/of/a/header/"
	f := target.Classify(Answer{Status: 401, Body: llm.ErrorBody{
		Message: "no " + key + " and no " + header + " nor " + base64.StdEncoding.EncodeToString([]byte(key)), Code: key, Type: header, Param: key,
	}}, time.Now())
	all := f.Message + f.Code + f.Type + f.Param
	for _, canary := range []string{key, header, base64.StdEncoding.EncodeToString([]byte(key))} {
		if strings.Contains(all, canary) {
			t.Errorf("%q is in %q", canary, all)
		}
	}
	if f.Kind != llm.FaultCredential || f.Message != "no [key] and no [key] nor [key]" {
		t.Errorf("fault %+v", f)
	}
}
