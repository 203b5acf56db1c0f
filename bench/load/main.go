//go:build linux

// Command load is the generator of the benchmark. It owns one epoll loop on
// one thread, sends prebuilt requests over keep-alive connections, checks every
// answer (package answer), and prints one JSON result.Run. It reads the CPU time
// and memory of the processes under test itself, at the edges of its window,
// so that what it counts and what it charges are of the same moment. It talks
// to loopback only. Start reading at loader.run.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	addr, mode, model, path, key, pids, control string
	conns, size, events, leave, batch           int
	rate                                        float64
	duration, warmup, limit                     time.Duration
	usage                                       bool
}

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "", "IPv4 loopback address and port to load")
	flag.StringVar(&o.mode, "mode", "closed", "closed: next request at once; open: at -rate; sse: streams; memory: idle connections, then live streams; leave: go after -leave events; cut: streams that break upstream")
	flag.StringVar(&o.model, "model", "small", "the model asked for, which selects the mock's answer")
	flag.StringVar(&o.path, "path", "/v1/chat/completions", "request path")
	flag.StringVar(&o.key, "key", "", "client key; without it the value of $BENCH_CLIENT_KEY")
	flag.StringVar(&o.pids, "pids", "", "processes under test, by id, with commas; their children count too")
	flag.StringVar(&o.control, "control", "", "named pipe of the known cost: a byte goes in for every -batch units")
	flag.IntVar(&o.batch, "batch", 25, "units per byte of -control")
	flag.IntVar(&o.conns, "conns", 32, "connections, or streams")
	flag.IntVar(&o.size, "size", 1024, "body size in bytes")
	flag.IntVar(&o.events, "events", 0, "stamped events that a whole stream has")
	flag.IntVar(&o.leave, "leave", 3, "events after which mode leave goes")
	flag.Float64Var(&o.rate, "rate", 1000, "requests a second, mode open")
	flag.DurationVar(&o.duration, "duration", 600*time.Millisecond, "length of the window; mode sse ends it early when a stream ends")
	flag.DurationVar(&o.warmup, "warmup", 150*time.Millisecond, "before the window")
	flag.DurationVar(&o.limit, "limit", time.Minute, "end of everything, come what may")
	flag.BoolVar(&o.usage, "usage", true, "ask streams for their usage")
	flag.Parse()
	if err := generate(o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func generate(o options) error {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
	addr, err := netip.ParseAddrPort(o.addr)
	if err != nil || !addr.Addr().IsLoopback() || !addr.Addr().Is4() {
		return fmt.Errorf("-addr %q: need an IPv4 loopback address and a port", o.addr)
	}
	if o.key == "" {
		o.key = os.Getenv("BENCH_CLIENT_KEY")
	}
	var pids []int
	for text := range strings.SplitSeq(o.pids, ",") {
		if text == "" {
			continue
		}
		pid, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-pids: %w", err)
		}
		pids = append(pids, pid)
	}
	if o.conns < 1 || o.conns > 20_000 || o.batch < 1 || o.rate <= 0 {
		return fmt.Errorf("-conns %d, -batch %d, -rate %g: out of range", o.conns, o.batch, o.rate)
	}
	l, err := newLoader(o, addr, pids)
	if err != nil {
		return err
	}
	if err := l.run(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(l.result)
}
