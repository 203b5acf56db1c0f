package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts in testdata/script run the program as its users do. Beside the
// commands of testscript they have:
//
//	exits CODE PROGRAM ARG...   runs it and wants that exit code
//	serve ARG...                starts `tailplane serve` on free ports and waits until it is ready;
//	                            serve.out and serve.err grow as it talks
//	log PATTERN                 waits until serve.err says that
//	end SIGNAL [CODE]           sends INT, TERM or HUP, and wants that exit code
//	plain FILE...               writes FILE with what differs from run to run replaced
//	take NAME FILE PATTERN      sets a variable to the pattern's first group
//	expand FILE...              writes FILE with its $VARIABLES replaced

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tailplane": func() { os.Exit(run(os.Args[1:])) }})
}

// noRaceSleep lets a program that was built with the race detector end at once: it
// would sleep a second for the sake of other goroutines.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: os.Getenv("TAILPLANE_UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			name, value, _ := strings.Cut(noRaceSleep, "=")
			env.Setenv(name, value)
			env.Setenv("TAILPLANE_STATE", filepath.Join(env.WorkDir, "state"))
			env.Values[serverKey{}] = new(server)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "serve": startServe, "log": waitLog, "end": stopServe, "plain": plain, "take": take, "expand": expand,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want || neg {
		ts.Fatalf("%v exits with %d, want %d", args[1:], got, want)
	}
}

// serverKey is the key of the script's server.
type serverKey struct{}

type server struct {
	cmd        *exec.Cmd
	said, logs *followed
}

// followed copies what a program says into a file, and lets a test wait for
// words.
type followed struct {
	lines chan string
	file  *os.File
}

// follow reads until the program ends. Lines beyond the channel's room are only
// in the file.
func follow(r io.Reader, path string) (*followed, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	f := &followed{lines: make(chan string, 10_000), file: file}
	go func() {
		defer close(f.lines)
		defer file.Close()
		for in := bufio.NewScanner(r); in.Scan(); {
			fmt.Fprintln(file, in.Text())
			select {
			case f.lines <- in.Text():
			default:
			}
		}
	}()
	return f, nil
}

// await waits for a line that matches.
func (f *followed) await(pattern string) error {
	re, late := regexp.MustCompile(pattern), time.After(30*time.Second)
	for {
		select {
		case line, ok := <-f.lines:
			if !ok {
				return fmt.Errorf("it ended without saying %s", pattern)
			}
			if re.MatchString(line) {
				return nil
			}
		case <-late:
			return fmt.Errorf("it has not said %s in time", pattern)
		}
	}
}

// rest waits until all that the program says is in the file.
func (f *followed) rest() {
	for range f.lines {
	}
}

func startServe(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(serverKey{}).(*server)
	args = append([]string{"serve", "--data", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)
	s.cmd = exec.Command("tailplane", args...)
	s.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TAILPLANE_STATE", "TAILPLANE_CONFIG", "GORACE", "OPENAI_API_KEY"} {
		s.cmd.Env = append(s.cmd.Env, name+"="+ts.Getenv(name))
	}
	stdout, err := s.cmd.StdoutPipe()
	ts.Check(err)
	stderr, err := s.cmd.StderrPipe()
	ts.Check(err)
	s.said, err = follow(stdout, ts.MkAbs("serve.out"))
	ts.Check(err)
	s.logs, err = follow(stderr, ts.MkAbs("serve.err"))
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() {
		if s.cmd != nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	if err := s.said.await("^ready in "); err != nil {
		_ = s.cmd.Process.Kill()
		ts.Fatalf("serve: %v\n%s", err, ts.ReadFile("serve.err"))
	}
}

func waitLog(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Value(serverKey{}).(*server).logs.await(args[0]))
}

func stopServe(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(serverKey{}).(*server)
	ts.Check(s.cmd.Process.Signal(map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}[args[0]]))
	if len(args) == 1 {
		return
	}
	s.logs.rest()
	s.said.rest()
	_ = s.cmd.Wait() // which closes what was still to be read
	if got := strconv.Itoa(s.cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("serve exits with %s after %s, want %s\n%s", got, args[0], args[1], ts.ReadFile("serve.err"))
	}
	s.cmd = nil
}

// different is what differs from run to run, and what stands in its place.
var different = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`sk-tp-([a-z]+-)?[0-9A-Za-z]{49}`), "KEY"},
	{regexp.MustCompile(`req_[0-9a-z]{26}`), "REQUEST"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`\b\d+(\.\d+)? (ms|s)\b|up \d+s`), "SPAN"},
	{regexp.MustCompile(`genai-prices/[0-9a-f/-]+(\+additions/[0-9-]+)?`), "PRICES"},
	{regexp.MustCompile(`((_ns|bytes|events)": )\d+`), "${1}N"},
	{regexp.MustCompile(`("key": )"[0-9a-f]{8,12}"`), `${1}"ID"`},
}

func plain(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := strings.ReplaceAll(ts.ReadFile(name), ts.Getenv("WORK"), "WORK")
		for _, d := range different {
			text = d.pattern.ReplaceAllString(text, d.with)
		}
		name = strings.NewReplacer("stdout", "stdout.plain", "stderr", "stderr.plain").Replace(name)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(os.Expand(ts.ReadFile(name), ts.Getenv)), 0o600))
	}
}

func take(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(found) < 2 {
		ts.Fatalf("%s is not in %s", args[2], args[1])
	}
	ts.Setenv(args[0], found[1])
}
