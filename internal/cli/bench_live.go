package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tailplane/internal/replay"
	"tailplane/internal/sim"
)

// Rules of this file: what is live is on loopback and ends with the command. The
// engines are the simulated ones, the gateway is the whole program, and both run
// in this process, at compressed time.

// liveModel is what the engines serve, and clients ask for.
const liveModel = "model"

// stage is a gateway before engines.
type stage struct {
	client *client
	key    string
	stop   func() error
}

// raise starts the engines of a setup and a gateway before them. Its stop ends
// all of it and removes what was written.
func raise(ctx context.Context, d Deps, s *replay.Setup) (_ *stage, err error) {
	dir, err := os.MkdirTemp("", "tailplane-bench-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var failed error // of the gateway; this and said are read after running has ended
	var said bytes.Buffer
	stop := func() error {
		cancel()
		running.Wait()
		return errors.Join(failed, os.RemoveAll(dir))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	var urls []string
	for i := range s.Replicas {
		url, err := raiseEngine(ctx, &running, s.Engine, s.Seed+uint64(i))
		if err != nil {
			return nil, err
		}
		urls = append(urls, url)
	}
	path, state := filepath.Join(dir, "tailplane.yaml"), filepath.Join(dir, "state")
	if err := os.WriteFile(path, []byte(liveConfig(s, urls)), 0o600); err != nil {
		return nil, err
	}
	over := make(chan struct{})
	running.Go(func() {
		defer close(over)
		failed = d.Serve(ctx, ServeOptions{Config: path, Data: "127.0.0.1:0", Admin: "127.0.0.1:0", State: state, NoDetect: true, NoWatch: true}, io.Discard, &said)
	})
	st := &stage{stop: stop}
	if st.client, err = found(ctx, d, state, over); err != nil {
		return nil, err
	}
	st.key, err = st.client.key(ctx, passing("bench", 24*time.Hour, true))
	return st, err
}

// found waits until the gateway is there.
func found(ctx context.Context, d Deps, state string, over <-chan struct{}) (*client, error) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		at, err := d.Running(state)
		if err == nil {
			return &client{Running: at, http: http.Client{Timeout: time.Minute, Transport: trusting(at.AdminKey)}}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		select {
		case <-again.C:
		case <-over:
			return nil, errors.New("the gateway did not start")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// raiseEngine serves an engine until the context ends.
func raiseEngine(ctx context.Context, running *sync.WaitGroup, p sim.Profile, seed uint64) (url string, err error) {
	engine, err := sim.New(sim.Options{Models: []sim.Model{{ID: liveModel, Profile: p}}, Seed: seed})
	if err != nil {
		return "", err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	face := &http.Server{Handler: engine, ReadHeaderTimeout: time.Minute}
	running.Go(func() { _ = engine.Run(ctx) })      // it ends with the context
	running.Go(func() { _ = face.Serve(ln) })       // it ends when closed
	context.AfterFunc(ctx, func() { face.Close() }) // answers that are left are no longer wanted
	return "http://" + ln.Addr().String(), nil
}

// liveConfig is a gateway of one pool. Nothing waits in it, and it does not look
// at the engines, since the simulation has neither.
func liveConfig(s *replay.Setup, urls []string) string {
	var b strings.Builder
	b.WriteString("version: 1\nsite: {name: bench}\ntargets:\n")
	var names []string
	for i, url := range urls {
		names = append(names, fmt.Sprintf("replica-%d", i))
		fmt.Fprintf(&b, "  %s: {kind: vllm, url: %q, watch: {metrics: \"off\", health: \"off\"}, price: {input: 0, output: 0}}\n", names[i], url)
	}
	p := s.Policy
	fmt.Fprintf(&b, "models:\n  %s:\n    pool: [%s]\n    served_as: %s\n    timeouts: {total: 24h, first_token: 24h, idle: 24h}\n    queue: {target: 10s, max_wait: 10m, requests: 100000}\n    policy: {name: %s", liveModel, strings.Join(names, ", "), liveModel, p.Name)
	for key, v := range map[string]int{"replication": p.Replication, "load_factor": p.LoadFactor, "imbalance_abs": p.ImbalanceAbs} {
		if v != 0 {
			fmt.Fprintf(&b, ", %s: %d", key, v)
		}
	}
	for key, v := range map[string]float64{"cache_threshold": p.CacheThreshold, "imbalance_rel": p.ImbalanceRel} {
		if v != 0 {
			fmt.Fprintf(&b, ", %s: %g", key, v)
		}
	}
	if p.Form != "" {
		fmt.Fprintf(&b, ", form: %s", p.Form)
	}
	if p.TTFT != 0 {
		fmt.Fprintf(&b, ", ttft: %s", p.TTFT)
	}
	b.WriteString("}\n")
	return b.String()
}
