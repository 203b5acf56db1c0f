package cli

import (
	"bytes"
	"crypto/ed25519"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/catalog"
	"tailplane/internal/ledger"
	"tailplane/internal/reconcile"
	"tailplane/internal/secret"
	"tailplane/internal/statement"
)

// ran is what a command did.
type ran struct {
	code     int
	out, err string
}

// run runs a command against an admin API.
func run(t *testing.T, api http.Handler, args ...string) ran {
	t.Helper()
	d := Deps{Version: "test", StateDir: func(string) (string, error) { return t.TempDir(), nil }, Running: func(string) (Running, error) { return Running{}, os.ErrNotExist }}
	if api != nil {
		s := httptest.NewServer(api)
		t.Cleanup(s.Close)
		d.Running = func(string) (Running, error) {
			return Running{Admin: strings.TrimPrefix(s.URL, "http://"), Token: secret.Plain("t")}, nil
		}
	}
	root := NewRoot(d)
	var out, err bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&err)
	root.SetArgs(args)
	code := Report(&err, root.ExecuteContext(t.Context()))
	return ran{code, out.String(), err.String()}
}

var siteKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))

// stated is a statement's file in a directory.
func stated(t *testing.T, dir, site, month string, number int64, previous string) (path, digest string) {
	t.Helper()
	m, err := statement.ParseMonth(month)
	if err != nil {
		t.Fatal(err)
	}
	s, err := statement.Make(statement.Input{
		Site: site, Customer: "acme", Month: m, Number: number, Previous: previous, Made: m.End().Add(time.Hour), Program: "test",
		Lines: []statement.Line{{Day: month + "-03", Model: "=cmd()", Sums: statement.Sums{Requests: 2, Cost: statement.NanoOf(1_500_000_001)}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file, err := statement.Sign(s, siteKey)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := statement.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, site+"-"+month+".json")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, opened.Digest
}

func TestStatementsAreCheckedAndJoinedOffline(t *testing.T) {
	dir := t.TempDir()
	key := catalog.FormatKey(siteKey.Public().(ed25519.PublicKey))
	pub := filepath.Join(dir, "site.pub")
	if err := os.WriteFile(pub, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a1, digest := stated(t, dir, "a", "2026-11", 1, "")
	a2, digest2 := stated(t, dir, "a", "2026-12", 2, digest)
	a4, _ := stated(t, dir, "a", "2027-02", 4, digest2)
	b1, _ := stated(t, dir, "b", "2026-11", 1, "")
	changed := filepath.Join(dir, "changed.json")
	text, err := os.ReadFile(a1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(changed, bytes.Replace(text, []byte(`"requests": 2`), []byte(`"requests": 3`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		args []string
		code int
		says string
	}{
		{[]string{"verify", "--key", key, a1}, ExitOK, "a-2026-11.json  holds"},
		{[]string{"verify", "--key", pub, a2, a1, b1}, ExitOK, "number 2, $1.500000001"},
		{[]string{"verify", "--key", pub, a1, a4}, ExitProblem, "numbers 2 to 3 are missing"},
		{[]string{"verify", "--key", pub, changed}, ExitProblem, "changed after it was signed"},
		{[]string{"verify", "--key", "x", a1}, ExitUsage, "a public key is the base64"},
		{[]string{"verify", a1}, ExitUsage, "no key is trusted"},
		{[]string{"verify", "--key", pub, filepath.Join(dir, "none.json")}, ExitNotFound, "is not there"},
		{[]string{"verify"}, ExitUsage, "needs an argument"},
		{[]string{"merge", "--key", pub, a1, a2, b1}, ExitOK, "all"},
		{[]string{"merge", "--key", pub, "--by", "model", "-o", "csv", a1, b1}, ExitOK, "'=cmd(),4,0,0,0,0,0,0,0,0,0,0,0,3000000002,3.000000002"},
		{[]string{"merge", "--key", pub, a1, a4}, ExitProblem, "number 2 is missing"},
		{[]string{"merge", "--key", pub, a1, a1}, ExitUsage, "stands twice"},
		{[]string{"merge", "--key", pub, a1, changed}, ExitProblem, "1 of 1 files do not hold"},
		{[]string{"merge", "--key", pub, "--by", "colour", a1}, ExitUsage, "colour"},
	}
	for _, c := range cases {
		if r := run(t, nil, append([]string{"statement"}, c.args...)...); r.code != c.code || !strings.Contains(r.out+r.err, c.says) {
			t.Errorf("%v: exit %d\n%s%swant %d and %q", c.args, r.code, r.out, r.err, c.code, c.says)
		}
	}
}

func TestAStatementIsFetchedAsItIsKept(t *testing.T) {
	dir := t.TempDir()
	path, _ := stated(t, dir, "a", "2026-11", 1, "")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var flat bytes.Buffer
		_ = json.Compact(&flat, file) // as the admin API passes it on
		_, _ = w.Write(flat.Bytes())
	})
	if r := run(t, api, "statement", "make", "--month", "2026-11"); r.code != ExitOK || r.out != string(file) {
		t.Errorf("exit %d, %s\n%s", r.code, r.err, r.out)
	}
	to := filepath.Join(dir, "out.json")
	if r := run(t, api, "statement", "make", "--month", "2026-11", to); r.code != ExitOK || !strings.Contains(r.err, "number 1, $1.500000001") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
	if r := run(t, api, "statement", "make", "--month", "2026-11", to); r.code != ExitConflict {
		t.Errorf("written over: exit %d, %s", r.code, r.err)
	}
	if r := run(t, api, "statement", "make", "--month", "November"); r.code != ExitUsage {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
	if r := run(t, nil, "statement", "make", "--month", "2026-11"); r.code != ExitUnreachable {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
}

func TestAnInvoiceIsComparedWithTheCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.csv")
	export := "start_time_iso,model,num_model_requests,input_tokens,output_tokens,input_cached_tokens\n2026-11-01T00:00:00Z,gpt-4o-2024-08-06,12,1500,250,500\n2026-11-02T00:00:00Z,gpt-4o-2024-08-06,1,10,10,0\n"
	if err := os.WriteFile(path, []byte(export), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked string
	rows := []reconcile.Row{
		{Day: "2026-11-01", Model: "gpt-4o", Provider: "openai", Requests: 12, Input: 1500, CacheRead: 500, Output: 250},
		{Day: "2026-11-02", Model: "mine", Provider: "openai", Requests: 1, Input: 10, Output: 10},
	}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery
		_ = json.NewEncoder(w).Encode(rows)
	})
	if r := run(t, api, "reconcile", "--model", "mine=gpt-4o", path); r.code != ExitOK || !strings.Contains(r.out, "0.00% unexplained") || asked != "from=2026-11-01&provider=openai&to=2026-11-03" {
		t.Errorf("exit %d, asked %s\n%s%s", r.code, asked, r.out, r.err)
	}
	if r := run(t, api, "reconcile", "-o", "csv", path); r.code != ExitProblem || !strings.Contains(r.out, "missing_in_ledger,2026-11-02,gpt-4o,") || !strings.Contains(r.err, "is unexplained, more than 1%") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	if r := run(t, api, "reconcile", "--tolerance", "50%", path); r.code != ExitOK {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	if r := run(t, api, "reconcile", "--to", "2026-11-02", path); r.code != ExitOK || !strings.HasSuffix(asked, "to=2026-11-02") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	for _, bad := range [][]string{{"--tolerance", "x"}, {"--provider", "oracle"}, {"--from", "soon"}} {
		if r := run(t, api, append([]string{"reconcile", path}, bad...)...); r.code != ExitUsage {
			t.Errorf("%v: exit %d, %s", bad, r.code, r.err)
		}
	}
}

func TestAnExportIsWholeOrAnError(t *testing.T) {
	ex := ledger.Exchange{ID: "req_1", Start: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), Customer: "=HYPERLINK(1)", Model: "m", Cost: 7, Attempts: []ledger.Attempt{{Target: "a", Kind: "openai", Fault: "overloaded"}, {Target: "b", Kind: "bedrock", Model: "+x", Cost: 7}}}
	raw, err := json.Marshal(&ex)
	if err != nil {
		t.Fatal(err)
	}
	stream := func(tail string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(string(raw) + "\n" + tail)) })
	}
	whole := `{"end":true,"lines":1}`
	from := []string{"export", "--from", "2026-11-24"}
	r := run(t, stream(whole), from...)
	rows, err := csv.NewReader(strings.NewReader(r.out)).ReadAll()
	if err != nil || r.code != ExitOK || len(rows) != 2 || rows[1][4] != "'=HYPERLINK(1)" || rows[1][len(rows[1])-1] != "7" || len(rows[0]) != len(rows[1]) {
		t.Errorf("exit %d, %v\n%s%s", r.code, err, r.out, r.err)
	}
	if r := run(t, stream(whole), append(from, "--attempts", "-o", "jsonl")...); r.code != ExitOK || strings.Count(r.out, "\n") != 2 || !strings.Contains(r.out, `"provider_model":"+x"`) || !strings.Contains(r.out, `"outcome":"failed"`) {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	to := filepath.Join(t.TempDir(), "x.csv")
	for _, tail := range []string{"", `{"end":true,"lines":2}`, `{"end":true,"lines":1,"error":"the disk"}`, "<html>"} {
		if r := run(t, stream(tail), append(from, to)...); r.code != ExitFailed {
			t.Errorf("%q: exit %d\n%s", tail, r.code, r.err)
		}
		if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: a part of it is there", tail)
		}
	}
	if r := run(t, stream(whole), "export"); r.code != ExitUsage {
		t.Errorf("exit %d", r.code)
	}
}
