package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"tailplane/internal/httpd"
)

// dataServer serves the data listener: HTTP/1.1 by our own loop, and HTTP/2,
// which that recognises and hands over, by net/http's.
type dataServer struct {
	one httpd.Server
	two http.Server

	interruptTwo context.CancelFunc
}

// Limits of a connection of the data listener.
const (
	headTime = 10 * time.Second // for a request's head
	idleTime = 2 * time.Minute  // between requests
	mostHead = 64 << 10         // bytes of a head
)

func newDataServer(handler http.Handler, yield func(), log *slog.Logger) *dataServer {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true) // over TLS, which the listener brings
	base, interrupt := context.WithCancel(context.Background())
	return &dataServer{
		interruptTwo: interrupt,
		one: httpd.Server{
			Handler: handler, Yield: yield, ErrorLog: log,
			ReadHeaderTimeout: headTime, IdleTimeout: idleTime, MaxHeaderBytes: mostHead,
		},
		two: http.Server{
			Handler: unwaiting(base, handler), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), Protocols: &protocols,
			BaseContext:       func(net.Listener) context.Context { return base },
			ReadHeaderTimeout: headTime, IdleTimeout: idleTime, MaxHeaderBytes: mostHead,
		},
	}
}

// unwaiting is a handler whose requests wait no longer for their bodies when ctx ends.
func unwaiting(ctx context.Context, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		over := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(over)
			_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // HTTP/2 supports it
		})
		defer func() {
			if !stop() {
				<-over // w is not to be used when the handler has returned
			}
		}()
		handler.ServeHTTP(w, r)
	})
}

// Serve serves until Shutdown or Close; then it returns http.ErrServerClosed.
func (d *dataServer) Serve(ln net.Listener) error {
	handover := httpd.NewHandover(ln.Addr())
	d.one.HTTP2 = handover.Give
	var two error
	var wg sync.WaitGroup
	wg.Go(func() { two = d.two.Serve(handover) })
	err := d.one.Serve(ln)
	_ = handover.Close() // it never fails
	wg.Wait()
	if errors.Is(two, net.ErrClosed) {
		two = http.ErrServerClosed
	}
	if errors.Is(err, http.ErrServerClosed) {
		return two
	}
	return err
}

// Shutdown takes no more requests and waits for those that run.
func (d *dataServer) Shutdown(ctx context.Context) error {
	var two error
	var wg sync.WaitGroup
	wg.Go(func() { two = d.two.Shutdown(ctx) })
	err := d.one.Shutdown(ctx)
	wg.Wait()
	return errors.Join(err, two)
}

// Interrupt ends the contexts of the requests that run, and the wait for their bodies.
// They can still answer.
func (d *dataServer) Interrupt() {
	d.one.Interrupt()
	d.interruptTwo()
}

// Close cuts everything off.
func (d *dataServer) Close() error { return errors.Join(d.one.Close(), d.two.Close()) }
