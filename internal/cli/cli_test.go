package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func tree(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		tree(sub, visit)
	}
}

// TestEveryCommandExplainsItself: a command that cannot be used from its own
// help is not finished.
func TestEveryCommandExplainsItself(t *testing.T) {
	root := NewRoot(Deps{Version: "x"})
	root.InitDefaultHelpCmd()
	seen := 0
	tree(root, func(c *cobra.Command) {
		seen++
		switch path := c.CommandPath(); {
		case c.Short == "" || strings.HasSuffix(c.Short, "."):
			t.Errorf("%s: its short description is %q", path, c.Short)
		case !strings.Contains(c.Example, "  tailplane") && !strings.Contains(c.Example, "tailplane env"):
			t.Errorf("%s has no example of itself: %q", path, c.Example)
		case c.Args == nil:
			t.Errorf("%s does not say which arguments it takes", path)
		case c.Parent() == root && c.GroupID == "":
			t.Errorf("%s stands in no group", path)
		case c.RunE == nil || c.Run != nil:
			t.Errorf("%s does nothing, or cannot fail", path)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no description", c.CommandPath(), f.Name)
			}
		})
		var help bytes.Buffer
		c.SetOut(&help)
		if err := c.Help(); err != nil || !strings.HasPrefix(help.String(), c.Example) {
			t.Errorf("%s: the help does not begin with the example (%v)", c.CommandPath(), err)
		}
	})
	if seen < 13 {
		t.Errorf("%d commands", seen)
	}
}

// TestNothingIsPrintedPastTheCommand: what a command says goes through its
// streams; cobra's Print family writes to stderr, and fmt.Print to whatever the
// process has.
func TestNothingIsPrintedPastTheCommand(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) < 5 {
		t.Fatalf("%d files: %v", len(paths), err)
	}
	bad := regexp.MustCompile(`cmd\.Print|fmt\.Print|os\.Std(out|err)|os\.Exit`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if found := bad.Find(text); found != nil && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s uses %s", path, found)
		}
	}
}

func TestReportMapsErrorsToExitCodes(t *testing.T) {
	cases := []struct {
		err  error
		code int
		says string
	}{
		{nil, ExitOK, ""},
		{context.Canceled, ExitInterrupted, ""},
		{errors.New("boom"), ExitFailed, "error: boom\n"},
		{&Error{ExitProblem, "what", "next"}, ExitProblem, "error: what\nhint:  next\n"},
		{&Error{Code: ExitConflict}, ExitConflict, ""},
	}
	for _, c := range cases {
		var out strings.Builder
		if code := Report(&out, c.err); code != c.code || out.String() != c.says {
			t.Errorf("%v: exit %d, said %q", c.err, code, out.String())
		}
	}
}

func TestDollarsAreExact(t *testing.T) {
	cases := map[int64]string{
		0: "$0.000000", 1: "$0.000000001", 1000: "$0.000001", 1_234_567_890: "$1.23456789",
		-1_500_000_000: "-$1.500000", 1 << 62: "$4611686018.427387904",
	}
	for nano, want := range cases {
		if got := dollars(nano); got != want {
			t.Errorf("%d: %s, want %s", nano, got, want)
		}
	}
}

// TestAStreamThatBreaksIsNeverACleanAnswer: however a stream ends, only its own
// end is a success.
func TestAStreamThatBreaksIsNeverACleanAnswer(t *testing.T) {
	chunk := `data: {"choices":[{"delta":{"content":"Hi"}}]}` + "\n\n"
	cases := []struct{ name, stream, out, err string }{
		{"whole", chunk + "data: [DONE]\n\n", "Hi\n", ""},
		{"cut", chunk, "Hi", "ended without its end"},
		{"empty", "", "", "ended without its end"},
		{"error event", chunk + `data: {"error":{"message":"too hot"}}` + "\n\n", "Hi", "too hot"},
		{"garbage", "data: <html>\n\n", "", "not a chunk"},
		{"comments", ": hello\n\n" + chunk + "data: [DONE]\n\n", "Hi\n", ""},
		{"a line without an end", "data: " + strings.Repeat("x", 17<<20), "", "ended without its end"},
	}
	for _, c := range cases {
		var out strings.Builder
		err := printStream(&out, strings.NewReader(c.stream), "req_1")
		switch {
		case out.String() != c.out:
			t.Errorf("%s: printed %q", c.name, out.String())
		case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		}
	}
}

// TestAReaderThatWentAwayIsAnError: `tailplane ... | head` ends, and not as if
// all had been read.
func TestAReaderThatWentAwayIsAnError(t *testing.T) {
	r, w := io.Pipe()
	_ = r.Close()
	if err := columns(w, []string{"A"}, [][]string{{"b"}}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
	if err := printStream(w, strings.NewReader("data: [DONE]\n\n"), "x"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
}

// full is an output that takes nothing, as a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestWhatCannotBeWrittenIsAFailure: a shell that evaluates half of what was said,
// and a pipeline that reads "ok" from nothing, must see it.
func TestWhatCannotBeWrittenIsAFailure(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"key":"sk-tp-x"}`) }))
	defer api.Close()
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte("targets: {x: {kind: sim}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := Deps{Version: "test", Running: func(string) (Running, error) { return Running{Admin: strings.TrimPrefix(api.URL, "http://")}, nil }}
	for _, args := range [][]string{{"env"}, {"env", "--shell", "fish"}, {"check", file}, {"version"}} {
		root := NewRoot(d)
		root.SetOut(full{})
		root.SetArgs(args)
		if code := Report(io.Discard, root.ExecuteContext(t.Context())); code != ExitFailed {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}
