package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"tailplane/internal/sim"
)

// pipes is a listener whose connections never leave the process.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "sim", Net: "memory"} }

// dial connects to the listener.
func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// simulator is the engine inside this process, with its own HTTP server on
// connections in memory: it is called like every other engine.
type simulator struct {
	pipes  *pipes
	server *http.Server
	engine *sim.Server
}

func newSimulator(log *slog.Logger) (*simulator, error) {
	engine, err := sim.New(sim.Options{AllowFaultHeader: true})
	if err != nil {
		return nil, err
	}
	return &simulator{
		pipes: newPipes(), engine: engine,
		server: &http.Server{Handler: engine, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)},
	}, nil
}

// run serves until ctx ends.
func (s *simulator) run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.engine.Run(ctx) }) // it ends with ctx and says no more than that
	wg.Go(func() {
		<-ctx.Done()
		_ = s.server.Close()
	})
	err := s.server.Serve(s.pipes)
	wg.Wait()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
