//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"tailplane/bench/internal/sock"
)

// spec says what to start and on which core.
type spec struct {
	name  string
	argv  []string
	env   []string // beside the runner's own
	core  int
	stdin *os.File
}

// process is a started program with its own process group, so that its
// children end with it.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// exited reports whether the program has ended by itself.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the whole group to end, and kills it when it has not within two
// seconds. It is safe to call twice.
func (p *process) stop() {
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(2 * time.Second):
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-p.done
}

// spawner starts every program from one goroutine that keeps its thread: a
// child takes over that thread's core, and is sent SIGTERM if the thread, and
// so the runner, dies in any way.
type spawner struct {
	dir      string // for the programs' error output
	requests chan request

	mu      sync.Mutex
	running []*process
}

type request struct {
	cmd  *exec.Cmd
	core int
	err  chan error
}

func newSpawner(ctx context.Context, dir string) *spawner {
	s := &spawner{dir: dir, requests: make(chan request)}
	go func() {
		runtime.LockOSThread() // never unlocked: see above
		for r := range s.requests {
			err := sock.Pin(r.core)
			if err == nil {
				err = r.cmd.Start()
			}
			r.err <- err
		}
	}()
	context.AfterFunc(ctx, s.stopAll)
	return s
}

// start begins a program; the spawner stops it at the end unless its owner
// did before.
func (s *spawner) start(what spec, out *os.File) (*process, error) {
	log, err := os.OpenFile(filepath.Join(s.dir, what.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", what.name, err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(what.argv[0], what.argv[1:]...)
	cmd.Env = append(os.Environ(), what.env...)
	cmd.Stderr, cmd.Stdout = log, log
	if out != nil {
		cmd.Stdout = out
	}
	if what.stdin != nil {
		cmd.Stdin = what.stdin
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := request{cmd: cmd, core: what.core, err: make(chan error)}
	s.requests <- r
	if err := <-r.err; err != nil {
		return nil, fmt.Errorf("start %s: %w", what.name, err)
	}
	p := &process{name: what.name, cmd: cmd, done: make(chan struct{})}
	s.running = append(s.running, p)
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stopAll ends what still runs.
func (s *spawner) stopAll() {
	s.mu.Lock()
	running := s.running
	s.running = nil
	s.mu.Unlock()
	var group sync.WaitGroup
	for _, p := range running {
		group.Go(p.stop)
	}
	group.Wait()
}

// output runs a program to its end and returns what it wrote.
func (s *spawner) output(ctx context.Context, what spec, limit time.Duration) ([]byte, error) {
	out, err := os.CreateTemp(s.dir, what.name+"-*.out")
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", what.name, err)
	}
	defer func() { _ = out.Close(); _ = os.Remove(out.Name()) }()
	p, err := s.start(what, out)
	if err != nil {
		return nil, err
	}
	defer s.forget(p)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.stop()
		return nil, context.Cause(ctx)
	case <-time.After(limit):
		p.stop()
		return nil, fmt.Errorf("run %s: not ended after %v", what.name, limit)
	}
	raw, err := os.ReadFile(out.Name())
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", what.name, err)
	}
	if !p.cmd.ProcessState.Success() {
		return nil, fmt.Errorf("run %s: %s: %w", what.name, p.cmd.ProcessState, s.lastWords(what.name))
	}
	return raw, nil
}

func (s *spawner) forget(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.running {
		if other == p {
			s.running = append(s.running[:i], s.running[i+1:]...)
			return
		}
	}
}

// lastWords is the end of a program's error output, as an error.
func (s *spawner) lastWords(name string) error {
	raw, _ := os.ReadFile(filepath.Join(s.dir, name+".log"))
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	text := strings.Join(lines[max(0, len(lines)-2):], "; ")
	if text == "" {
		text = "it wrote nothing"
	}
	return errors.New(text[:min(len(text), 400)])
}
