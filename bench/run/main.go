//go:build linux

// Command run is the benchmark of Tailplane: `make bench`. It starts a mock
// upstream, nginx (twice), HAProxy, a ReverseProxy and Tailplane, gives all of
// them the same load in random order, round by round, and judges Tailplane's
// cost as a multiple of nginx's in the same round, in NE (nginx-equivalents).
// It never leaves loopback, never judges an absolute time, and ends every
// program it started. A figure is inconclusive when the reference against
// itself, or a known cost, is not seen as it should be. Start reading at
// bench.run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"tailplane/bench/internal/sock"
)

// Exit codes.
const (
	exitMissed      = 1 // a bar was missed
	exitBroken      = 2 // the benchmark could not run
	exitUndecided   = 3 // no bar was missed, and one is inconclusive: run again
	exitInterrupted = 130
)

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

func command(args []string, out, progress io.Writer) int {
	o, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(progress, "bench:", err)
		return exitBroken
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	rep, err := benchmark(ctx, o, progress)
	if ctx.Err() != nil {
		_, _ = fmt.Fprintln(progress, "bench: interrupted; all programs are ended")
		return exitInterrupted
	}
	if err != nil {
		_, _ = fmt.Fprintln(progress, "bench:", err)
		return exitBroken
	}
	rep.table(out)
	if o.json != "" {
		if err := rep.write(o.json); err != nil {
			_, _ = fmt.Fprintln(progress, "bench:", err)
			return exitBroken
		}
	}
	if !o.gate {
		return 0
	}
	return rep.exit()
}

// bench is one run of the whole benchmark; one goroutine owns it.
type bench struct {
	opt            options
	dir, bin       string
	nginx, haproxy string
	mockPort       int
	started        int
	spawn          *spawner
	random         *rand.Rand
	out            io.Writer
	report         report
}

func benchmark(ctx context.Context, o options, progress io.Writer) (*report, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the benchmark's own programs: %w", err)
	}
	dir, err := os.MkdirTemp("", "tailplane-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	b := &bench{opt: o, dir: dir, bin: filepath.Dir(self), nginx: find("nginx"), haproxy: find("haproxy"), out: progress}
	if o.keep {
		b.progress("configs and logs stay in %s", dir)
	} else {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	b.spawn = newSpawner(ctx, dir)
	defer b.spawn.stopAll()
	if err := b.programs(ctx); err != nil {
		return nil, err
	}
	if err := b.prepare(); err != nil {
		return nil, err
	}
	return &b.report, b.run(ctx)
}

// programs finds the benchmark's other programs beside the runner, or builds
// them, as after `go run`; then the working directory is inside the module.
func (b *bench) programs(ctx context.Context) error {
	var build []string
	for _, name := range []string{"mock", "load", "spin", "refproxy"} {
		if _, err := os.Stat(filepath.Join(b.bin, name)); err != nil {
			build = append(build, "tailplane/bench/"+name)
		}
	}
	if len(build) == 0 {
		return nil
	}
	b.bin = filepath.Join(b.dir, "bin")
	if err := os.Mkdir(b.bin, 0o755); err != nil {
		return fmt.Errorf("build the benchmark's programs: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	args := append([]string{"build", "-o", b.bin + "/"}, build...)
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the benchmark's programs: %w: %s", err, out)
	}
	return nil
}

// prepare checks the surroundings and says in the report what is not as it
// should be.
func (b *bench) prepare() error {
	cores := runtime.NumCPU()
	if b.opt.coreSUT >= cores || b.opt.coreLoad >= cores || b.opt.coreSUT == b.opt.coreLoad {
		b.report.note("only %d cores for core %d and core %d: generator and target share one, figures are rough", cores, b.opt.coreSUT, b.opt.coreLoad)
		b.opt.coreSUT, b.opt.coreLoad = min(b.opt.coreSUT, cores-1), min(b.opt.coreLoad, cores-1)
	}
	// The runner is small, but must not wake up on the core under test.
	runtime.LockOSThread()
	if err := sock.Pin(b.opt.coreLoad); err != nil {
		return err
	}
	b.report.seed = b.opt.seed
	if b.report.seed == 0 {
		b.report.seed = uint64(time.Now().UnixNano())
	}
	if b.opt.fallback {
		b.nginx = ""
	}
	b.random = rand.New(rand.NewPCG(b.report.seed, 0))
	b.report.random = rand.New(rand.NewPCG(b.report.seed, 1))
	b.report.scale = 1
	if b.nginx == "" {
		b.report.scale = 3.5
		b.report.note("nginx is missing: the reference is the stdlib ReverseProxy, taken as 3.5 NE; all NE are approximate. bench/setup.sh installs nginx")
	}
	if b.haproxy == "" {
		b.report.note("haproxy is missing and left out")
	}
	if path, err := filepath.Abs(b.opt.tailplane); err == nil && find(path) != "" {
		b.opt.tailplane = path
	} else {
		b.report.note("no tailplane at %s: only the references are measured", b.opt.tailplane)
		b.opt.tailplane = ""
	}
	return nil
}

// run does the scenarios one after the other.
func (b *bench) run(ctx context.Context) error {
	if err := b.startMock(ctx); err != nil {
		return err
	}
	targets, err := b.startAll(ctx)
	if err != nil {
		return err
	}
	for _, s := range b.opt.cpuScenarios() {
		if s.needs == ours && b.opt.tailplane == "" {
			b.report.note("%s: skipped, there is no tailplane to translate", s.id)
			continue
		}
		m, err := b.measure(ctx, s, targets.of(s))
		if err != nil {
			return err
		}
		b.report.addCPU(m)
	}
	for _, s := range b.opt.latencyScenarios() {
		m, err := b.measure(ctx, s, targets.of(s))
		if err != nil {
			return err
		}
		b.report.addLatency(m)
	}
	b.settleLedger(ctx, targets)
	if b.opt.wants("k") {
		if err := b.faults(ctx, targets); err != nil {
			return err
		}
	}
	targets.stop(b)
	if b.opt.wants("d") {
		if err := b.memory(ctx); err != nil {
			return err
		}
	}
	if b.opt.wants("i") {
		return b.startUp(ctx)
	}
	return nil
}

// fleet is the targets that run side by side.
type fleet []*target

// startAll starts every target there is. One that does not start is left out
// with a note, except the reference.
func (b *bench) startAll(ctx context.Context) (fleet, error) {
	var f fleet
	for _, name := range b.names(true) {
		t, err := b.launch(ctx, name)
		if err != nil {
			if name == reference || name == again || ctx.Err() != nil {
				return nil, err
			}
			b.report.broken(name, err)
			continue
		}
		f = append(f, t)
	}
	with, err := b.withCost(f.find(reference))
	if err != nil {
		return nil, err
	}
	return append(f, with), nil
}

// names are the targets that this machine can start.
func (b *bench) names(aa bool) []string {
	out := []string{reference}
	if aa {
		out = append(out, again)
	}
	if b.haproxy != "" {
		out = append(out, haproxy)
	}
	if b.nginx != "" {
		out = append(out, stdlib)
	}
	if b.opt.tailplane != "" {
		out = append(out, ours)
	}
	return out
}

func (f fleet) find(name string) *target {
	for _, t := range f {
		if t.name == name {
			return t
		}
	}
	return nil
}

// of are the targets of a scenario: the known cost takes part in some only.
func (f fleet) of(s scenario) []*target {
	var out []*target
	for _, t := range f {
		if t.name != control || s.cost > 0 {
			out = append(out, t)
		}
	}
	return out
}

func (f fleet) stop(b *bench) {
	for _, t := range f {
		t.stop(b)
	}
}

func (b *bench) progress(format string, args ...any) {
	_, _ = fmt.Fprintf(b.out, format+"\n", args...)
}
