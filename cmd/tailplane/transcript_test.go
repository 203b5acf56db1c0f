package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTranscripts runs what the guides in docs/guides show. A block of YAML that
// begins with "# NAME.yaml" becomes that file; before the first block of `console`
// the program is started with tailplane.yaml. In a block of `console` a line that begins with
// "$ " is a command for the shell, in which $API is the program's address; what follows is all that it prints, but for
// what differs from run to run (see varying), and lines of "...", which stand for
// any. TAILPLANE_UPDATE=1 writes what was printed into the guide.
func TestTranscripts(t *testing.T) {
	guides, err := filepath.Glob("../../docs/guides/*.md")
	if err != nil || len(guides) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	for _, path := range guides {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".md"), func(t *testing.T) { runGuide(t, path) })
	}
}

func runGuide(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &guide{t: t, dir: t.TempDir()}
	g.env = append(os.Environ(), noRaceSleep, "HOME="+g.dir, "TAILPLANE_STATE="+filepath.Join(g.dir, "state"), "PATH="+programDir(t)+":"+os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC")
	var out bytes.Buffer
	lines := strings.SplitAfter(string(text), "\n")
	for len(lines) > 0 {
		line := lines[0]
		lines = lines[1:]
		out.WriteString(line)
		fence := strings.TrimSpace(line)
		if fence != "```yaml" && fence != "```console" {
			continue
		}
		n := 0
		for n < len(lines) && !strings.HasPrefix(lines[n], "```") {
			n++
		}
		block := strings.Join(lines[:n], "")
		if fence == "```yaml" {
			g.file(block)
		} else {
			block = g.console(block)
		}
		out.WriteString(block)
		lines = lines[n:]
	}
	if os.Getenv("TAILPLANE_UPDATE") != "" {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type guide struct {
	t       *testing.T
	dir     string
	env     []string
	serving bool
}

func (g *guide) file(block string) {
	first, _, _ := strings.Cut(block, "\n")
	name, ok := strings.CutPrefix(first, "# ")
	if !ok || !strings.HasSuffix(name, ".yaml") {
		return
	}
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(block), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// console runs the commands of a block, and returns it as it came out.
func (g *guide) console(block string) string {
	g.start()
	var out strings.Builder
	commands := strings.Split("\n"+block, "\n$ ")
	for _, c := range commands[1:] {
		command, want, _ := strings.Cut(c, "\n")
		for strings.HasSuffix(command, "\\") {
			more, rest, _ := strings.Cut(want, "\n")
			command, want = command+"\n"+more, rest
		}
		got := g.shell(command)
		if os.Getenv("TAILPLANE_UPDATE") == "" && !alike(want, got) {
			g.t.Errorf("$ %s\nprints:\n%s\nthe guide says:\n%s", command, got, want)
		}
		fmt.Fprintf(&out, "$ %s\n%s", command, got)
	}
	return out.String()
}

func (g *guide) shell(command string) string {
	cmd := exec.CommandContext(g.t.Context(), "sh", "-c", command)
	cmd.Dir, cmd.Env = g.dir, g.env
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		g.t.Fatal(err)
	}
	return string(out)
}

// start runs the program, once, and waits until it is ready.
func (g *guide) start() {
	if g.serving {
		return
	}
	g.serving = true
	cmd := exec.Command("tailplane", "serve", "-c", "tailplane.yaml", "--data", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	cmd.Path = filepath.Join(programDir(g.t), "tailplane")
	cmd.Err = nil
	cmd.Dir, cmd.Env = g.dir, g.env
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if g.t.Failed() {
			g.t.Logf("the program said:\n%s", said.String())
		}
	})
	for range 200 {
		var status struct{ Data string }
		if json.Unmarshal([]byte(g.shell("tailplane status -o json")), &status) == nil && status.Data != "" {
			g.env = append(g.env, "API=http://"+status.Data)
			return
		}
		wait(50 * time.Millisecond) // a process of its own has no other sign
	}
	g.t.Fatal("the program is not ready after ten seconds")
}

// programDir is where the test binary is found as `tailplane`; package testscript
// has put it there.
func programDir(t *testing.T) string {
	path, err := exec.LookPath("tailplane")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(path)
}

// varying is what differs from run to run.
var varying = []struct {
	pattern *regexp.Regexp
	as      string
}{
	{regexp.MustCompile(`sk-tp-[0-9A-Za-z-]+`), "KEY"},
	{regexp.MustCompile(`req_[0-9a-z]{26}`), "REQ"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?`), "TIME"},
	{regexp.MustCompile(`\b\d{4}-\d\d\b`), "MONTH"},
	{regexp.MustCompile(`\b[0-9a-f]{8,}\b`), "HEX"},
	{regexp.MustCompile(`chatcmpl-sim[0-9a-f]+`), "CHATCMPL"},
	{regexp.MustCompile(`"created":\d+`), "CREATED"},
	{regexp.MustCompile(`in \d+ (seals|segments)`), "IN"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDR"},
	{regexp.MustCompile(`\b(\d+(\.\d+)? ?(ns|us|µs|ms|s|m|h))+\b`), "SPAN"},
	{regexp.MustCompile(`[ \t]+`), " "},
	{regexp.MustCompile(` \n`), "\n"},
}

// alike compares what a guide says with what was printed.
func alike(want, got string) bool {
	for _, v := range varying {
		want, got = v.pattern.ReplaceAllString(want, v.as), v.pattern.ReplaceAllString(got, v.as)
	}
	parts := strings.Split(regexp.QuoteMeta(strings.TrimSpace(want)), `\.\.\.`)
	whole := regexp.MustCompile(`(?s)^` + strings.Join(parts, `.*?`) + `$`)
	return whole.MatchString(strings.TrimSpace(got))
}

// wait lets other processes go on: they have no clock that a test could turn.
func wait(d time.Duration) { <-time.After(d) }
