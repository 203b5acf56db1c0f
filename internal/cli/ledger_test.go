package cli

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tailplane/internal/secret"
)

// ask runs a command line against an admin API that gives one answer, and returns
// what it printed and the exit code.
func ask(t *testing.T, answer http.HandlerFunc, args ...string) (out, errs string, code int) {
	t.Helper()
	srv := httptest.NewServer(answer)
	defer srv.Close()
	root := NewRoot(Deps{Running: func(string) (Running, error) {
		return Running{Admin: strings.TrimPrefix(srv.URL, "http://"), Token: secret.Plain("t")}, nil
	}})
	var stdout, stderr bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err := root.ExecuteContext(t.Context())
	code = Report(&stderr, err)
	return stdout.String(), stderr.String(), code
}

func TestLedgerVerifyTellsWhatIsWrong(t *testing.T) {
	cases := []struct {
		answer    string
		code      int
		out, errs string
	}{
		{`{}`, ExitOK, "in memory", ""},
		{`{"journal":{"records":3,"segments":1},"journal_head":"ab","store":{"seals":1,"records":2,"head":"cd","pruned":1}}`, ExitOK, "store    2 records in 1 seals, head cd; 1 of the records were removed by retention\n", ""},
		{`{"store":{"records":2,"problems":["exchange req_1 is changed"],"more":4}}`, ExitProblem, "2 records", "store: exchange req_1 is changed\nstore: 4 more\n"},
		{`{"journal":{"problems":["segment 2 does not follow"]}}`, ExitProblem, "journal", "journal: segment 2 does not follow\n"},
	}
	for _, c := range cases {
		out, errs, code := ask(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/admin/v1/ledger/verify" {
				t.Error(errors.New(r.URL.Path))
			}
			_, _ = w.Write([]byte(c.answer))
		}, "ledger", "verify")
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || (errs == "") != (c.code == ExitOK) {
			t.Errorf("%s: exit %d\n%s\n%s", c.answer, code, out, errs)
		}
	}
	if out, _, code := ask(t, nil, "ledger"); code != ExitOK || !strings.Contains(out, "verify") {
		t.Errorf("without a command: exit %d, %s", code, out)
	}
}
