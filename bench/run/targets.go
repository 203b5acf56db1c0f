//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tailplane/bench/config"
)

// The names of the targets, as they appear in the tables.
const (
	reference = "reference"
	again     = "reference (A/A)"
	haproxy   = "haproxy"
	stdlib    = "reverseproxy"
	ours      = "tailplane"
	control   = "reference + known cost"
)

// clientKey is sent to every target. It opens nothing but the benchmark's own
// Tailplane.
const clientKey = "bench-client-key-0123456789abcdef0123456789abcdef"

// target is one system under test.
type target struct {
	name   string
	addr   string
	procs  []*process
	pipe   string // of the known cost
	config string
	dir    string
}

func (t *target) pids() string {
	var out []string
	for _, p := range t.procs {
		out = append(out, strconv.Itoa(p.pid()))
	}
	return strings.Join(out, ",")
}

// find looks for a program where distributions put daemons too.
func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// freePort asks the kernel for a port that nothing listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// values fills the templates for a new target in a directory of its own.
func (b *bench) values(name string) (config.Values, error) {
	b.started++
	v := config.Values{Mock: b.mockPort, Root: os.Geteuid() == 0, Dir: filepath.Join(b.dir, fmt.Sprintf("%s-%d", strings.Fields(name)[0], b.started))}
	v.Models, v.Translated = b.opt.models()
	if err := os.MkdirAll(v.Dir, 0o755); err != nil {
		return v, fmt.Errorf("prepare %s: %w", name, err)
	}
	var err error
	if v.Port, err = freePort(); err != nil {
		return v, err
	}
	v.Admin, err = freePort()
	return v, err
}

// kind is how one sort of target is started: the template, where its file
// goes, the command line for a file, and the path that answers 200.
type kind struct {
	template, file string
	argv           func(file string, v config.Values) []string
	ready          string
}

func (b *bench) kinds() map[string]kind {
	nginx := kind{"nginx.conf.tmpl", "nginx.conf", func(file string, v config.Values) []string {
		return []string{b.nginx, "-p", v.Dir, "-e", "stderr", "-c", file}
	}, "/v1/models"}
	fallback := kind{"", "", func(_ string, v config.Values) []string {
		return []string{filepath.Join(b.bin, "refproxy"), "-listen", fmt.Sprintf("127.0.0.1:%d", v.Port), "-upstream", fmt.Sprintf("http://127.0.0.1:%d", v.Mock)}
	}, "/v1/models"}
	m := map[string]kind{
		reference: nginx, again: nginx, stdlib: fallback,
		haproxy: {"haproxy.cfg.tmpl", "haproxy.cfg", func(file string, _ config.Values) []string {
			return []string{b.haproxy, "-db", "-q", "-f", file}
		}, "/v1/models"},
		ours: {"tailplane.yaml.tmpl", "tailplane.yaml", func(file string, _ config.Values) []string {
			return []string{b.opt.tailplane, "serve", "-c", file}
		}, "/readyz"},
	}
	if b.nginx == "" {
		m[reference], m[again] = fallback, fallback
	}
	return m
}

// begin starts a target without waiting for it.
func (b *bench) begin(name string) (*target, error) {
	k, known := b.kinds()[name]
	if !known {
		return nil, fmt.Errorf("start %s: no such target", name)
	}
	v, err := b.values(name)
	if err != nil {
		return nil, err
	}
	t := &target{name: name, addr: fmt.Sprintf("127.0.0.1:%d", v.Port), dir: v.Dir, config: filepath.Join(v.Dir, k.file)}
	if k.template != "" {
		if err := config.Write(k.template, t.config, v); err != nil {
			return nil, err
		}
	}
	env := []string{"GOMAXPROCS=1", "BENCH_KEY=mock-key", "BENCH_CLIENT_KEY=" + clientKey, "HOME=" + v.Dir, "XDG_STATE_HOME=" + v.Dir}
	p, err := b.spawn.start(spec{name: filepath.Base(v.Dir), argv: k.argv(t.config, v), env: env, core: b.opt.coreSUT}, nil)
	if err != nil {
		return nil, err
	}
	t.procs = []*process{p}
	return t, nil
}

// launch starts a target and waits until it answers.
func (b *bench) launch(ctx context.Context, name string) (*target, error) {
	t, err := b.begin(name)
	if err != nil {
		return nil, err
	}
	url := "http://" + t.addr + b.kinds()[name].ready
	for range 500 {
		if t.procs[0].exited() {
			return nil, fmt.Errorf("start %s: it ended: %w", name, b.spawn.lastWords(t.procs[0].name))
		}
		if status, _, err := get(ctx, url); err == nil && status == http.StatusOK {
			return t, nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	t.stop(b)
	return nil, fmt.Errorf("start %s: %s does not answer 200 after 10 s: %w", name, url, b.spawn.lastWords(t.procs[0].name))
}

func (t *target) stop(b *bench) {
	for _, p := range t.procs {
		p.stop()
		b.spawn.forget(p)
	}
}

// withCost is base with the known cost beside it: a companion on the same core
// burns a known CPU time for each unit, told by the generator over a pipe in
// batches, and counts as part of the target. On the reference, which costs
// little itself, it shows what the instruments can tell apart.
func (b *bench) withCost(base *target) (*target, error) {
	pipe := filepath.Join(b.dir, "cost.pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		return nil, fmt.Errorf("make the known cost's pipe: %w", err)
	}
	in, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the known cost's pipe: %w", err)
	}
	defer func() { _ = in.Close() }()
	p, err := b.spawn.start(spec{name: "spin", argv: []string{filepath.Join(b.bin, "spin"), "-burn", costPaid.String()}, core: b.opt.coreSUT, stdin: in}, nil)
	if err != nil {
		return nil, err
	}
	return &target{name: control, addr: base.addr, pipe: pipe, procs: append([]*process{p}, base.procs...)}, nil
}

// costPaid is burnt at once for a batch of units: 25 units at 20 us each.
const costPaid = 500 * time.Microsecond

// startMock starts the upstream beside the generator and learns its port.
func (b *bench) startMock(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	if _, err = b.spawn.start(spec{name: "mock", argv: []string{filepath.Join(b.bin, "mock"), "-listen", addr}, core: b.opt.coreLoad}, nil); err != nil {
		return err
	}
	b.mockPort = port
	for range 200 {
		if status, _, err := get(ctx, "http://"+addr+"/stats"); err == nil && status == http.StatusOK {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("start mock: no answer: %w", b.spawn.lastWords("mock"))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func get(ctx context.Context, url string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("get %s: %w", url, err)
	}
	return do(r)
}

func do(r *http.Request) (int, []byte, error) {
	r.Close = true
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	_, err = io.Copy(&body, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, body.Bytes(), err
}
