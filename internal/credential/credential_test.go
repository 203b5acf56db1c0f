package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
)

var t0 = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// keyFile is a reference to a file with that key, and the way to change it.
func keyFile(t testing.TB, key string) (secret.Ref, func(string, time.Time)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	write := func(key string, at time.Time) {
		if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write(key, t0)
	ref, err := secret.Parse("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	return ref, write
}

func ref(t testing.TB, key string) secret.Ref {
	r, _ := keyFile(t, key)
	return r
}

// sent is the header that a request gets, "name: value".
func sent(t testing.TB, s *Source, now time.Time) (string, Use) {
	t.Helper()
	req := h1.Request{Header: []h1.Field{{Name: "accept", Value: "x"}}}
	use, err := s.Authorize(context.Background(), &req, Caller{}, now)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range req.Header[1:] {
		out = append(out, f.Name+": "+f.Value)
	}
	return strings.Join(out, ", "), use
}

func source(t testing.TB, c Config, o Options) *Source {
	t.Helper()
	s, err := New(c, "authorization", o, t0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	badKey = &llm.Fault{Kind: llm.FaultCredential, Scope: llm.ScopeKey}
	noMore = &llm.Fault{Kind: llm.FaultQuota, Scope: llm.ScopeKey}
	busy   = &llm.Fault{Kind: llm.FaultOverloaded, Scope: llm.ScopeModel}
)

func TestAKeyGoesInTheHeaderThatItsProviderReads(t *testing.T) {
	cases := []struct{ kind, own, want string }{
		{"authorization", "", "authorization: Bearer k-0123456789"},
		{"x-api-key", "", "x-api-key: k-0123456789"},
		{"x-api-key", "authorization", "authorization: Bearer k-0123456789"},
		{"authorization", "api-key", "api-key: k-0123456789"},
		{"", "x-goog-api-key", "x-goog-api-key: k-0123456789"},
	}
	for _, c := range cases {
		s, err := New(Config{Slot: Slot{Key: ref(t, "k-0123456789")}, Header: c.own, Headers: map[string]secret.Ref{"x-org": ref(t, "org")}}, c.kind, Options{}, t0)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := sent(t, s, t0); got != "x-org: org, "+c.want {
			t.Errorf("kind %q, own %q: %s", c.kind, c.own, got)
		}
	}
	none := source(t, Config{}, Options{})
	if got, use := sent(t, none, t0); got != "" || none.Report(use, badKey, t0) || use.Name() != "" {
		t.Errorf("a target without credential sends %q", got)
	}
}

// TestTheNextKeyTakesOver, and the first one is in use again as soon as it is
// another one.
func TestTheNextKeyTakesOver(t *testing.T) {
	key, write := keyFile(t, "first-0123456789abcdef")
	var events []Event
	s := source(t, Config{Slot: Slot{Key: key, NextKey: ref(t, "second-0123456789abcdef")}}, Options{Observe: func(e Event) { events = append(events, e) }})
	got, first := sent(t, s, t0)
	if !strings.HasSuffix(got, "Bearer first-0123456789abcdef") || first.Name() != "key" {
		t.Fatal(got)
	}
	if s.Report(first, busy, t0) || len(events) > 0 {
		t.Error("an overload is no refusal")
	}
	if !s.Report(first, badKey, t0) {
		t.Error("another key is free and nobody is told")
	}
	got, second := sent(t, s, t0)
	if !strings.HasSuffix(got, "Bearer second-0123456789abcdef") {
		t.Fatal(got)
	}
	if s.Report(first, badKey, t0.Add(time.Second)); len(events) != 1 {
		t.Errorf("two refusals at once are told twice: %+v", events)
	}
	state := s.State(t0)
	if state[0].Parked != t0.Add(time.Minute) || state[0].Hint != "...cdef" || state[0].Why != "upstream_credential" || !state[1].Parked.IsZero() {
		t.Errorf("%+v", state)
	}
	write("third-0123456789abcdef", t0.Add(time.Second))
	later := t0.Add(10 * time.Second)
	if got, _ = sent(t, s, later); !strings.HasSuffix(got, "Bearer third-0123456789abcdef") {
		t.Errorf("a new key is not used: %s", got)
	}
	if s.Report(first, badKey, later); !s.State(later)[0].Parked.IsZero() {
		t.Error("a refusal of the old key parks the new one")
	}
	if s.Report(second, nil, later); len(events) != 2 || events[1].Kind != Unparked || events[1].Why != "its value has changed" {
		t.Errorf("%+v", events)
	}
	if got := s.Secrets(); !slices.Contains(got, "first-0123456789abcdef") || !slices.Contains(got, "third-0123456789abcdef") || !slices.Contains(got, "second-0123456789abcdef") {
		t.Errorf("not masked: %d of 3", len(got))
	}
	if !s.Repeats("id-third-0123456789abcdef", 8) || s.Repeats("id-third", 8) {
		t.Error("Repeats")
	}
}

// TestThePauseDoublesAndOneRequestTries it when it is over.
func TestThePauseDoublesAndOneRequestTries(t *testing.T) {
	s := source(t, Config{Keys: []Slot{{Key: ref(t, "a-0123456789"), Name: "a", Weight: 1000}, {Key: ref(t, "b-0123456789"), Name: "b"}}}, Options{Roll: func() float64 { return 0 }})
	now := t0
	for i, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		_, use := sent(t, s, now)
		if use.Name() != "a" {
			t.Fatalf("round %d: %s", i, use.Name())
		}
		if !s.Report(use, badKey, now) {
			t.Error("b is free")
		}
		if until := s.State(now)[0].Parked; until != now.Add(pause*time.Minute) {
			t.Errorf("round %d: a pause of %v", i, until.Sub(now))
		}
		now = now.Add(pause*time.Minute - time.Second)
		if _, use := sent(t, s, now); use.Name() != "b" {
			t.Errorf("round %d: used before its pause is over", i)
		}
		now = now.Add(time.Second)
	}
	_, trying := sent(t, s, now)
	if _, other := sent(t, s, now); trying.Name() != "a" || other.Name() != "b" {
		t.Errorf("one tries: %s, %s", trying.Name(), other.Name())
	}
	s.Report(trying, nil, now)
	if _, use := sent(t, s, now); use.Name() != "a" || s.parked.Load() != 0 {
		t.Error("taken again, and not in use")
	}
}

// TestTheOnlyKeyIsNeverKeptBack: parking it would help nobody.
func TestTheOnlyKeyIsNeverKeptBack(t *testing.T) {
	s := source(t, Config{Slot: Slot{Key: ref(t, "k-0123456789")}}, Options{})
	for range 3 {
		_, use := sent(t, s, t0)
		if s.Report(use, badKey, t0) {
			t.Error("there is no other")
		}
	}
	if st := s.State(t0); st[0].Parked.IsZero() {
		t.Error("its refusal is not shown")
	}
}

// TestWeightsShareTheRequests over a large number.
func TestWeightsShareTheRequests(t *testing.T) {
	s := source(t, Config{Keys: []Slot{{Key: ref(t, "a-0123456789"), Weight: 3}, {Key: ref(t, "b-0123456789")}, {Key: ref(t, "c-0123456789"), Weight: 6}}}, Options{})
	count := map[string]int{}
	for range 10_000 {
		_, use := sent(t, s, t0)
		count[use.Name()]++
	}
	for name, share := range map[string]int{"keys[0]": 3000, "keys[1]": 1000, "keys[2]": 6000} {
		if got := count[name]; got < share-250 || got > share+250 {
			t.Errorf("%s: %d of 10000, want about %d", name, got, share)
		}
	}
}

// TestParkingIsSound: whatever is refused and taken in whatever order, a request
// always gets a key; a parked one only when all are, or to try it; states,
// counts and events agree.
func TestParkingIsSound(t *testing.T) {
	dir := t.TempDir()
	keys := make([]secret.Ref, 6)
	for i := range keys {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, fmt.Appendf(nil, "key-number-%d", i), 0o600); err != nil {
			t.Fatal(err)
		}
		keys[i], _ = secret.Parse("file:" + path)
	}
	rapid.Check(t, func(t *rapid.T) {
		c := Config{}
		for i := range rapid.IntRange(1, 3).Draw(t, "members") {
			slot := Slot{Key: keys[2*i], Weight: Weight(rapid.IntRange(0, 3).Draw(t, "weight"))}
			if rapid.Bool().Draw(t, "next") {
				slot.NextKey = keys[2*i+1]
			}
			c.Keys = append(c.Keys, slot)
		}
		s, err := New(c, "", Options{
			Roll: func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "roll") },
		}, t0)
		if err != nil {
			t.Fatal(err)
		}
		now := t0
		var open []Use
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "seconds")) * time.Second)
			before := s.State(now)
			req := h1.Request{}
			use, err := s.Authorize(t.Context(), &req, Caller{}, now)
			if err != nil || len(req.Header) != 1 {
				t.Fatalf("no key: %v", err)
			}
			at := slices.IndexFunc(before, func(st State) bool { return st.Name == use.Name() })
			free := slices.ContainsFunc(before, func(st State) bool { return st.Parked.IsZero() })
			if free && !before[at].Parked.IsZero() {
				t.Fatalf("%s is used although it is parked and others are not: %+v", use.Name(), before)
			}
			open = append(open, use)
			i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
			f := rapid.SampledFrom([]*llm.Fault{nil, badKey, noMore, busy}).Draw(t, "fault")
			another := s.Report(open[i], f, now)
			after := s.State(now)
			others := slices.ContainsFunc(after, func(st State) bool { return st.Name != open[i].Name() && st.Parked.IsZero() })
			if refusedNow := f == badKey || f == noMore; another != (refusedNow && others) {
				t.Fatalf("another = %v after %v: %+v", another, f, after)
			}
			if f == nil && !after[slices.IndexFunc(after, func(st State) bool { return st.Name == open[i].Name() })].Parked.IsZero() {
				t.Fatal("taken, and still parked")
			}
			for _, st := range after {
				if !st.Parked.IsZero() && st.Parked.Sub(now) > mostPause {
					t.Fatalf("a pause of %v", st.Parked.Sub(now))
				}
			}
		}
		parked := 0
		for _, m := range s.members {
			for _, slot := range m.slots {
				if !slot.parking.until.IsZero() {
					parked++
				}
			}
		}
		if int(s.parked.Load()) != parked {
			t.Fatalf("counted %d, %d are parked", s.parked.Load(), parked)
		}
	})
}

// TestARemoteKeyIsReadWhenItIsNeeded, again every minute, and its last good
// value is kept.
func TestARemoteKeyIsReadWhenItIsNeeded(t *testing.T) {
	remote, err := secret.Parse("vault:kv/openai#key")
	if err != nil {
		t.Fatal(err)
	}
	reads, down := 0, false
	resolve := func(_ context.Context, r secret.Ref) (secret.Value, error) {
		reads++
		if down {
			return secret.Value{}, errors.New("Vault is sealed")
		}
		return secret.Plain(fmt.Sprintf("key-%d", reads)), nil
	}
	inBubble(t, func(t *testing.T) {
		var events []Event
		s := source(t, Config{Slot: Slot{Key: remote}}, Options{Resolvers: secret.Resolvers{secret.SchemeVault: resolve}, Observe: func(e Event) { events = append(events, e) }})
		if reads != 0 {
			t.Error("read before it is needed")
		}
		if got, _ := sent(t, s, time.Now()); got != "authorization: Bearer key-1" {
			t.Error(got)
		}
		time.Sleep(recheck)
		_, _ = sent(t, s, time.Now())
		settle()
		down = true
		time.Sleep(recheck)
		_, _ = sent(t, s, time.Now())
		settle()
		if got, _ := sent(t, s, time.Now()); got != "authorization: Bearer key-2" {
			t.Errorf("%s, want the last good value", got)
		}
		if st := s.State(time.Now()); !strings.Contains(st[0].Error, "Vault is sealed") || st[0].Place != "vault:kv/openai#key" {
			t.Errorf("%+v", st)
		}
		if len(events) != 1 || events[0].Kind != FetchFail {
			t.Errorf("%+v", events)
		}
	})
	down = true
	s := source(t, Config{Slot: Slot{Key: remote}}, Options{Resolvers: secret.Resolvers{secret.SchemeVault: resolve}})
	if _, err := s.Authorize(t.Context(), &h1.Request{}, Caller{}, time.Now()); err == nil || !strings.Contains(err.Error(), "vault:kv/openai#key: Vault is sealed") {
		t.Error(err)
	}
	if _, err := source(t, Config{Slot: Slot{Key: remote}}, Options{}).Authorize(t.Context(), &h1.Request{}, Caller{}, time.Now()); err == nil || !strings.Contains(err.Error(), "cannot be read here") {
		t.Error(err)
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	k := secret.Env("K")
	cases := []struct {
		config Config
		path   string
	}{
		{Config{Slot: Slot{Key: k}, AWS: &AWS{}}, "t.auth.aws"},
		{Config{Slot: Slot{Key: k}, Keys: []Slot{{Key: k}}}, "t.keys"},
		{Config{Slot: Slot{NextKey: k}}, "t.next_key"},
		{Config{Keys: []Slot{{}}}, "t.keys[0]"},
		{Config{Keys: []Slot{{Key: k, Weight: -1}}}, "t.keys[0].weight"},
		{Config{Keys: []Slot{{Key: k, Name: "a"}, {Key: k, Name: "a"}}}, "t.keys[1].name"},
		{Config{Header: "a b"}, "t.auth.header"},
		{Config{AWS: &AWS{AccessKey: k}}, "t.auth.aws"},
		{Config{AWS: &AWS{AccessKey: k, SecretKey: k, Profile: "x"}}, "t.auth.aws.profile"},
		{Config{AWS: &AWS{TagCustomer: true}}, "t.auth.aws"},
		{Config{AWS: &AWS{RoleARN: "role"}}, "t.auth.aws.role_arn"},
		{Config{AWS: &AWS{SessionName: "a b"}}, "t.auth.aws.session_name"},
		{Config{AWS: &AWS{Sessions: -1}}, "t.auth.aws.sessions"},
		{Config{AWS: &AWS{STSURL: "https://u:hunter2@x"}}, "t.auth.aws.sts_url"},
		{Config{AWS: &AWS{IMDSURL: "x"}}, "t.auth.aws.imds_url"},
		{Config{Azure: &Azure{ClientSecret: k}}, "t.auth.azure"},
		{Config{Azure: &Azure{ClientSecret: k, Tenant: "t", Client: "c", TokenFile: "f"}}, "t.auth.azure.token_file"},
		{Config{Azure: &Azure{Authority: "ftp://x"}}, "t.auth.azure.authority"},
		{Config{Google: &Google{MetadataURL: "x"}}, "t.auth.google.metadata_url"},
	}
	for _, c := range cases {
		var paths []string
		c.config.Validate("t", func(path, wrong, right string) {
			paths = append(paths, path)
			if wrong == "" || right == "" || strings.Contains(wrong+right, "hunter2") {
				t.Errorf("%s: %q; %q", path, wrong, right)
			}
		})
		if !slices.Equal(paths, []string{c.path}) {
			t.Errorf("%v, want %s", paths, c.path)
		}
	}
	good := Config{AWS: &AWS{RoleARN: "arn:aws:iam::123456789012:role/x/y", TagCustomer: true, AccessKey: k, SecretKey: k}}
	good.Validate("t", func(path, wrong, _ string) { t.Errorf("%s: %s", path, wrong) })
	if refs := good.Refs(); len(refs) != 2 {
		t.Errorf("%v", refs)
	}
}
