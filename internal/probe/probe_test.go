package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tailplane/internal/credential"
	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
	"tailplane/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list is an answer with a list of models.
func list(whole bool, models ...string) Answer {
	return Answer{Question: upstream.Question{Path: "/v1/models", Lists: true}, Status: 200, Listed: true, Whole: whole, Models: models}
}

func fault(status int, kind llm.FaultKind, message, detail string) Answer {
	return Answer{Question: upstream.Question{Path: "/v1/models", Lists: true}, Status: status, Fault: &llm.Fault{Kind: kind, Status: status, Message: message, Detail: detail}}
}

func aside(a Answer) Answer {
	a.Host, a.Aside = "bedrock.eu-west-1.amazonaws.com", true
	return a
}

func TestJudge(t *testing.T) {
	root := Answer{Question: upstream.Question{Path: "/"}, Status: 404, Fault: &llm.Fault{Kind: llm.FaultUnknownModel, Status: 404, Message: "UnknownOperation"}}
	profile := aside(list(true, "eu.anthropic.claude"))
	forbidden := aside(fault(403, llm.FaultCredential, "User: x is not authorized to perform: bedrock:ListFoundationModels", "see"))
	skewed := list(true, "m")
	skewed.Skew = "this machine's clock is 9m0s ahead of the target's: set it (NTP)"
	late := fault(401, llm.FaultCredential, "bad key.", "look")
	late.Skew = skewed.Skew
	cases := []struct {
		name    string
		err     error
		models  string
		answers []Answer
		verdict Verdict
		want    string // findings: "verdict: what; do", separated by " | "
	}{
		{"not made", errors.New(`target "a": no such file; make it`), "", nil, Problem, `problem: target "a": no such file; make it`},
		{"in this process", nil, "m", nil, OK, "ok: it is in this process"},
		{"all there", nil, "m n", []Answer{list(true, "m", "n", "o")}, OK, "ok: it answers and takes the credential | ok: 2 of 2 models are there"},
		{"one missing", nil, "m-large n", []Answer{list(true, "m-larg", "n")}, Problem, `ok: it answers and takes the credential | problem: it does not list model "m-large"; did you mean "m-larg"? | ok: 1 of 2 models are there`},
		{"nothing like it", nil, "m-large", []Answer{list(true)}, Problem, `ok: it answers and takes the credential | problem: it does not list model "m-large"; name one that it serves, or see whether the account, region or server has it`},
		{"a first page", nil, "m-large", []Answer{list(false, "a")}, NotChecked, `ok: it answers and takes the credential | not checked: model "m-large" is not on the first page of its list`},
		{"refused", nil, "m", []Answer{fault(401, llm.FaultCredential, "bad key.", "look")}, Problem, "problem: HTTP 401: bad key; look"},
		{"refused for the clock", nil, "m", []Answer{late}, Problem, "problem: this machine's clock is 9m0s ahead of the target's; set it (NTP) | problem: HTTP 401: bad key; look"},
		{"a clock that is off", nil, "m", []Answer{skewed}, Problem, "problem: this machine's clock is 9m0s ahead of the target's; set it (NTP) | ok: it answers and takes the credential | ok: 1 of 1 models are there"},
		{"no way there", nil, "m", []Answer{fault(0, llm.FaultConnect, "the target cannot be reached", "h: no")}, Problem, "problem: the target cannot be reached; h: no"},
		{"no list", nil, "m", []Answer{fault(404, llm.FaultUnknownModel, "no", "")}, NotChecked, "not checked: GET /v1/models is answered with HTTP 404: neither the credential nor the models could be looked at; if requests fail, too, see whether the path of url: is right"},
		{"no list but something", nil, "m", []Answer{{Question: upstream.Question{Path: "/v1/models", Lists: true}, Status: 200}}, NotChecked, "ok: it answers and takes the credential | not checked: models: the answer to GET /v1/models is no list of models; see whether the path of url: is right"},
		{"busy", nil, "m", []Answer{fault(429, llm.FaultRateLimit, "slow", "")}, NotChecked, "not checked: HTTP 429: slow; it has no room now; check again"},
		{"a region", nil, "eu.anthropic.claude", []Answer{root, aside(list(true, "anthropic.claude")), profile}, OK, "ok: it answers | ok: 1 of 1 models are there"},
		{"a region without", nil, "us.anthropic.claude", []Answer{root, aside(list(true, "anthropic.claude")), profile}, Problem, `ok: it answers | problem: it does not list model "us.anthropic.claude"; did you mean "anthropic.claude" or "eu.anthropic.claude"?`},
		{"a role that may not list", nil, "us.anthropic.claude", []Answer{root, forbidden}, NotChecked, "not checked: the credential may not list models (HTTP 403: User: x is not authorized to perform: bedrock:ListFoundationModels); requests need no such permission; give it to have the models looked at | ok: it answers"},
		{"no way to the list", nil, "m", []Answer{root, aside(fault(0, llm.FaultConnect, "the target cannot be reached", "h: no"))}, NotChecked, "not checked: the list of models cannot be had from bedrock.eu-west-1.amazonaws.com: the target cannot be reached; h: no | ok: it answers"},
		{"a wrong key for the list", nil, "m", []Answer{root, aside(fault(403, llm.FaultCredential, "The security token is invalid", "look"))}, Problem, "problem: HTTP 403: The security token is invalid; look"},
		{"a profile by its ARN", nil, "arn:aws:bedrock:x", []Answer{root, profile}, NotChecked, `ok: it answers | not checked: "arn:aws:bedrock:x" is no model that a list has`},
		{"another list", nil, "m", []Answer{{Question: upstream.Question{Path: "/v1/models", Partly: "it lists fish"}, Status: 200, Listed: true, Whole: true}}, NotChecked, "ok: it answers and takes the credential | not checked: models: it lists fish"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := Judge(Facts{Subject{Name: "a", Err: c.err, Models: strings.Fields(c.models)}, c.answers})
			var got []string
			for _, f := range r.Findings {
				text := string(f.Verdict) + ": " + f.What
				if f.Do != "" {
					text += "; " + f.Do
				}
				got = append(got, text)
			}
			if r.Verdict != c.verdict || strings.Join(got, " | ") != c.want {
				t.Errorf("%s:\n%s\nwant %s:\n%s", r.Verdict, strings.Join(got, " | "), c.verdict, c.want)
			}
		})
	}
}

// TestTheVerdictIsTheWorst: whatever was seen, something is said, and a problem
// is never hidden.
func TestTheVerdictIsTheWorst(t *testing.T) {
	kinds := []llm.FaultKind{llm.FaultCredential, llm.FaultConnect, llm.FaultUnknownModel, llm.FaultRateLimit, llm.FaultServer, llm.FaultQuota}
	rapid.Check(t, func(t *rapid.T) {
		var answers []Answer
		for range rapid.IntRange(1, 3).Draw(t, "answers") {
			a := list(rapid.Bool().Draw(t, "whole"), rapid.SliceOfN(rapid.SampledFrom([]string{"m", "n"}), 0, 2).Draw(t, "list")...)
			a.Aside = rapid.Bool().Draw(t, "aside")
			if status := rapid.SampledFrom([]int{0, 200, 401, 403, 404, 429, 500}).Draw(t, "status"); status != 200 {
				a.Status, a.Listed, a.Models = status, false, nil
				a.Fault = &llm.Fault{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Status: status, Message: "x"}
			}
			answers = append(answers, a)
		}
		r := Judge(Facts{Subject{Name: "a", Models: []string{"m"}}, answers})
		if len(r.Findings) == 0 {
			t.Fatalf("nothing is said of %+v", answers)
		}
		worst := OK
		for _, f := range r.Findings {
			if f.Verdict == Problem || f.Verdict == NotChecked && worst == OK {
				worst = f.Verdict
			}
		}
		if r.Verdict != worst {
			t.Fatalf("%s of %+v", r.Verdict, r.Findings)
		}
	})
}

// TestLookIsBoundedInTimeAndNumber: servers that take a connection and say
// nothing hold a check up for ten seconds, eight of them at once.
func TestLookIsBoundedInTimeAndNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, most := 0, 0
		change := make(chan int)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := range change {
				open += n
				most = max(most, open)
			}
		}()
		client := h1.New(h1.Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			change <- 1
			<-ctx.Done()
			change <- -1
			return nil, ctx.Err()
		}})
		var subjects []Subject
		for i := range 20 {
			target, err := upstream.New(fmt.Sprint("t", i), upstream.Config{Kind: "vllm", URL: fmt.Sprintf("http://h%d", i)}, client, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			subjects = append(subjects, Subject{Name: target.Name, Kind: "vllm", Target: target, Models: []string{"m"}})
		}
		begin := time.Now()
		results := Look(t.Context(), subjects)
		took := time.Since(begin)
		close(change)
		<-done
		if took != 30*time.Second || most != atOnce {
			t.Errorf("it took %v, %d at once", took, most)
		}
		for i, r := range results {
			silent := slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.What, "in time") })
			if r.Target != subjects[i].Name || r.Verdict != Problem || !silent {
				t.Errorf("%+v", r)
			}
		}
	})
}

// TestARegionIsAskedAtItsControlPlane, signed like every request, and the
// runtime's address is tried before.
func TestARegionIsAskedAtItsControlPlane(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Host+r.URL.Path)
		mu.Unlock()
		auth := r.Header.Get("Authorization")
		switch {
		case !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIDPROBE/") || !strings.Contains(auth, "/eu-west-1/bedrock/"):
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/foundation-models":
			_, _ = w.Write([]byte(`{"modelSummaries":[{"modelId":"amazon.nova-pro-v1:0"}]}`))
		case r.URL.Path == "/inference-profiles":
			_, _ = w.Write([]byte(`{"inferenceProfileSummaries":[{"inferenceProfileId":"eu.amazon.nova-pro-v1:0"}]}`))
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`<UnknownOperationException/>`))
		}
	}))
	defer s.Close()
	t.Setenv("PROBE_ID", "AKIDPROBE")
	t.Setenv("PROBE_SECRET", "probe-secret")
	client := h1.New(h1.Options{TLS: &tls.Config{InsecureSkipVerify: true}, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	}})
	defer client.CloseIdle()
	site := upstream.Site{Client: client, Identities: credential.Options{Client: &http.Client{}}}
	c := upstream.Config{Kind: "bedrock", Region: "eu-west-1"}
	c.Auth.AWS = &credential.AWS{AccessKey: secret.Env("PROBE_ID"), SecretKey: secret.Env("PROBE_SECRET")}
	target, err := site.New("aws", c, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := Look(t.Context(), []Subject{{Name: "aws", Kind: "bedrock", Target: target, Models: []string{"eu.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0"}}})[0]
	if r.Verdict != Problem || len(r.Findings) != 3 || r.Findings[1].What != `it does not list model "us.amazon.nova-pro-v1:0"` {
		t.Errorf("%+v", r)
	}
	want := "bedrock-runtime.eu-west-1.amazonaws.com/ bedrock.eu-west-1.amazonaws.com/foundation-models bedrock.eu-west-1.amazonaws.com/inference-profiles"
	if got := strings.Join(asked, " "); got != want {
		t.Errorf("asked %s", got)
	}
}
