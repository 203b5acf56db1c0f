package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/models"
	"tailplane/internal/upstream"
	"tailplane/internal/wire"
)

// A realtime session is a WebSocket whose bytes pass as they are, in both
// directions, once the target has agreed to it; until then its faults are mended
// like every other's. The frames that come from the target are looked at for the
// usage of each response. One more goroutine than usual is on the way: each
// direction has one. Whichever side ends first ends the other at once.

// A session lasts at least as long as providers let it, and may be silent for as
// long as people are, whatever is right for a request of the same model; a
// request's own headers can still say less.
const (
	sessionTotal = time.Hour
	sessionIdle  = 5 * time.Minute
)

func sessionTimeouts(t models.Timeouts) models.Timeouts {
	t.Total, t.Idle = max(t.Total, sessionTotal), max(t.Idle, sessionIdle)
	return t
}

// keyProtocol is the subprotocol in which browsers, which cannot set headers,
// show their key.
const keyProtocol = "openai-insecure-api-key."

// protocols are the subprotocols that the client offers, without its key.
func protocols(h http.Header) (offered []string, key string) {
	for p := range strings.SplitSeq(strings.Join(h["Sec-Websocket-Protocol"], ","), ",") {
		p = strings.TrimSpace(p)
		if text, ok := strings.CutPrefix(p, keyProtocol); ok {
			key = text
		} else if p != "" {
			offered = append(offered, p)
		}
	}
	return offered, key
}

// wantsSocket refuses what does not ask for a WebSocket (RFC 6455 4.2.1).
func (c *call) wantsSocket() *llm.Fault {
	h := c.r.Header
	switch {
	case c.r.ProtoMajor != 1:
		return badBody("a realtime session needs HTTP/1.1")
	case !hasToken(h["Upgrade"], "websocket") || !hasToken(h["Connection"], "upgrade"):
		return badBody("%s takes a WebSocket: ask for it with Upgrade: websocket", c.r.URL.Path)
	case h.Get("Sec-Websocket-Version") != "13" || len(h.Get("Sec-Websocket-Key")) != 24:
		return badBody("the WebSocket handshake is wrong: send Sec-WebSocket-Version: 13 and a Sec-WebSocket-Key")
	}
	return nil
}

func hasToken(values []string, token string) bool {
	return slices.ContainsFunc(values, func(list string) bool {
		for part := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
		return false
	})
}

// session makes one attempt at a session and has it.
func (c *call) session(target *candidate, a *ledger.Attempt, begin time.Time) *llm.Fault {
	h := c.r.Header
	c.req.HeadDeadline = begin.Add(c.to.FirstToken)
	c.req.Header = append(c.req.Header,
		h1.Field{Name: "sec-websocket-key", Value: h.Get("Sec-Websocket-Key")}, h1.Field{Name: "sec-websocket-version", Value: "13"})
	if offered, _ := protocols(h); len(offered) > 0 {
		c.req.Header = append(c.req.Header, h1.Field{Name: "sec-websocket-protocol", Value: strings.Join(offered, ", ")})
	}
	tunnel, resp, err := target.Upgrade(c.ctx, &c.req)
	switch {
	case err != nil:
		return upstream.Broken(err, llm.FaultFirstToken)
	case resp != nil:
		defer resp.Close()
		a.Head, a.Status = now().Sub(begin), resp.Status
		a.Upstream = target.RequestID(resp.Header.Get, begin)
		if resp.Status/100 == 2 {
			return garbage("target "+target.Name+" did not switch to a WebSocket", nil)
		}
		return c.refused(target, resp, c.surface.dialect)
	}
	defer tunnel.Close()
	a.Head, a.Status, a.Connect = now().Sub(begin), http.StatusSwitchingProtocols, tunnel.Timing.Connect+tunnel.Timing.TLS
	a.Upstream = target.RequestID(tunnel.Header.Get, begin)
	conn, rw, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		return &llm.Fault{Kind: llm.FaultInternal, Retry: llm.RetryNever, Scope: llm.ScopeRequest, Message: "the connection cannot become a WebSocket", Err: err}
	}
	defer conn.Close()
	c.committed, c.ex.Status = true, http.StatusSwitchingProtocols
	a.FirstToken = a.Head
	c.ex.FirstToken = now().Sub(c.ex.Start)
	s := &session{call: c, conn: conn, tunnel: tunnel, received: wire.Frames{Limit: int(c.plane.Listen.MaxEvent)}}
	return s.run(target, rw.Reader)
}

// session is a session on its way.
type session struct {
	call     *call
	conn     net.Conn
	tunnel   *h1.Tunnel
	sent     wire.Frames // by the client; belongs to its goroutine
	received wire.Frames // from the target
	lost     bool        // what the target sends is not understood any more
	last     atomic.Int64

	clientBye, targetBye atomic.Bool // that side's closing frame has passed

	over  atomic.Bool
	once  sync.Once
	fault *llm.Fault // of whichever side ended first
}

// run has the session until a side ends it.
func (s *session) run(target *candidate, in io.Reader) *llm.Fault {
	c := s.call
	if _, err := s.conn.Write(s.head(target)); err != nil {
		return clientGone(err)
	}
	s.touch()
	var up sync.WaitGroup
	up.Go(func() {
		s.end(s.carry(s.tunnel, leg{from: in, deadline: s.conn.SetReadDeadline, look: s.lookUp, client: true}))
	})
	s.end(s.carry(s.conn, leg{from: s.tunnel, deadline: s.tunnel.SetReadDeadline, look: s.lookDown}))
	up.Wait()
	if n := s.received.Skipped(); n > 0 || s.lost {
		c.gateway.log.Warn("a part of a realtime session was not looked at for its usage", "request", c.ex.ID, "messages", n, "rest", s.lost)
	}
	s.sayWhy()
	return s.fault
}

// sayWhy tells a client whose session did not end well so, if a frame can be put
// in.
func (s *session) sayWhy() {
	if s.fault == nil || s.fault.Kind == llm.FaultClientGone || s.lost || s.received.Closed() || !s.received.Whole() {
		return
	}
	const goingAway, internalError = 1001, 1011 // RFC 6455 7.4.1
	code := uint16(internalError)
	if s.fault.Kind == llm.FaultStopped {
		code = goingAway
	}
	_ = s.conn.SetWriteDeadline(now().Add(drainTime))
	_, _ = s.conn.Write(wire.AppendClose(nil, code, s.fault.Message)) // it is closed in any case
}

// head is the answer that switches the protocol.
func (s *session) head(target *candidate) []byte {
	b := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
	for _, f := range [...]h1.Field{
		{Name: "Sec-WebSocket-Accept", Value: s.tunnel.Header.Get("sec-websocket-accept")},
		{Name: "Sec-WebSocket-Protocol", Value: s.tunnel.Header.Get("sec-websocket-protocol")},
		{Name: "X-Request-Id", Value: s.call.ex.ID},
		{Name: "X-Tailplane-Target", Value: target.Name},
		{Name: "X-Tailplane-Model", Value: printable(target.model)},
	} {
		if f.Value != "" {
			b = append(b, f.Name+": "+f.Value+"\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// printable makes a name fit for a header line that is written by hand.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, name)
}

// leg is one direction: where its bytes come from and what looks at them.
type leg struct {
	from     io.Reader
	deadline func(time.Time) error
	look     func([]byte)
	client   bool // they come from the client
}

// carry copies one direction to its end, which is a fault unless the side that
// ended it said goodbye.
func (s *session) carry(to io.Writer, l leg) *llm.Fault {
	buf := make([]byte, 16<<10)
	for {
		_ = l.deadline(s.idleEnd()) // fails only on a closed connection, and so does the read
		if s.over.Load() {
			return nil
		}
		n, err := l.from.Read(buf)
		if n > 0 {
			s.touch()
			l.look(buf[:n])
			if _, err := to.Write(buf[:n]); err != nil {
				return s.broken(err, !l.client)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && now().Before(s.idleEnd()):
			// The other direction was busy meanwhile.
		default:
			return s.broken(err, l.client)
		}
	}
}

func (s *session) touch() { s.last.Store(now().UnixNano()) }

// idleEnd is when the session ends if nothing more comes.
func (s *session) idleEnd() time.Time {
	at := time.Unix(0, s.last.Load()).Add(s.call.to.Idle)
	if s.call.deadline.Before(at) {
		return s.call.deadline
	}
	return at
}

// broken is the fault of a side that failed or ended.
func (s *session) broken(err error, client bool) *llm.Fault {
	kind := llm.FaultIdle
	if !now().Before(s.call.deadline) {
		kind = llm.FaultTotal
	}
	switch {
	case s.call.ctx.Err() != nil && s.call.gateway.cutting.Load():
		f := stopped(err)
		f.Phase = llm.PhaseStream
		return f
	case errors.Is(err, os.ErrDeadlineExceeded):
	case client && s.clientBye.Load() || !client && s.targetBye.Load():
		return nil
	case client:
		return clientGone(err)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	f := upstream.Broken(err, kind)
	f.Phase = llm.PhaseStream
	return f
}

// end ends both sides at once; of several ends the first one counts. The client's
// connection is left for a last frame, but nothing more is read from it, and a client
// that does not read is not waited for.
func (s *session) end(f *llm.Fault) {
	s.once.Do(func() {
		s.fault = f
		s.over.Store(true)
		_ = s.tunnel.Close()
		_ = s.conn.SetReadDeadline(time.Unix(1, 0))
		_ = s.conn.SetWriteDeadline(now().Add(drainTime))
	})
}

func (s *session) lookUp(b []byte) {
	if s.sent.Pass(b, func([]byte) {}) == nil && s.sent.Closed() {
		s.clientBye.Store(true)
	}
}

func (s *session) lookDown(b []byte) {
	s.call.ex.SentBytes += int64(len(b))
	if !s.lost {
		s.lost = s.received.Pass(b, s.message) != nil
		s.targetBye.Store(s.received.Closed())
	}
}

// message looks at one message of the target.
func (s *session) message(m []byte) {
	c := s.call
	c.ex.Events++
	if !bytes.Contains(m, []byte("response.done")) {
		return
	}
	var found [2]wire.Member
	if _, err := wire.Scan(m, []string{"type", "response"}, found[:]); err != nil || !wire.StringEquals(found[0].Value.Of(m), "response.done") || found[1].IsZero() {
		return
	}
	var usage [1]wire.Member
	if _, err := wire.ScanAt(m, found[1].Value, []string{"usage"}, usage[:]); err != nil || usage[0].IsZero() {
		return
	}
	if u, ok := mediaUsage(m, usage[0].Value); ok {
		c.took(c.tap.Usage.Add(u))
	}
}
