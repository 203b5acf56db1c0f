package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/dialect"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/upstream"
	"tailplane/internal/wire"
)

// relayForward carries a success of the forward lane to the client: JSON and
// other text whole, so that it can be metered, and mended elsewhere until its
// last byte; sound, files and streams as they come.
func (c *call) relayForward(target *candidate, a *ledger.Attempt, resp *h1.Response, begin time.Time) *llm.Fault {
	if c.surface.forward.copied || !isText(resp) {
		return c.copyThrough(target, a, resp, begin)
	}
	c.seen.Stream = false // whatever was asked for, this is no stream
	c.reply = c.reply[:0]
	err := c.readWhole(resp, c.plane.Listen.MaxBody, c.deadline)
	switch {
	case errors.Is(err, errTooLong):
		return garbage(fmt.Sprintf("target %s answered with more than %d bytes; listen.max_body sets the limit", target.Name, c.plane.Listen.MaxBody), err)
	case err != nil:
		return c.final(upstream.Broken(err, llm.FaultTotal))
	}
	a.FirstToken = now().Sub(begin)
	body := c.reply
	if isPage(body) {
		return c.final(garbage(fmt.Sprintf("target %s answered with an HTML page", target.Name), nil))
	}
	if isJSON(resp) && (len(body) > 0 || resp.Status == http.StatusOK) {
		if body, err = c.readReply(target, body); err != nil {
			if f, ok := errors.AsType[*llm.Fault](err); ok {
				return f
			}
			return c.final(garbage(fmt.Sprintf("target %s answered with %s that is not a JSON object", target.Name, contentType(resp)), err))
		}
	}
	if c.surface.forward.meter != nil {
		c.surface.forward.meter(c)
	}
	c.forwardHead(resp, target)
	return c.writeForward(resp.Status, body)
}

// readReply looks at a JSON answer: is it one, what does it say of objects, and
// what of it may the caller see?
func (c *call) readReply(target *candidate, body []byte) ([]byte, error) {
	var found [4]wire.Member
	_, err := wire.Scan(body, []string{"error", "object", "data", "output"}, found[:])
	switch {
	case err != nil && !isArray(body):
		return nil, err
	case isFailure(body, found[:]):
		return nil, target.Classify(upstream.Answer{Body: c.surface.dialect.DecodeError(body)}, now())
	}
	fwd := c.surface.forward
	switch {
	case fwd.list:
		c.out, err = c.owned(c.out[:0], body)
		return c.out, err
	case c.surface.method == http.MethodDelete:
		if err := c.gateway.owners.Delete(c.place.id); err != nil {
			c.gateway.log.Error("a deleted object may be known again after the next start", "error", err, "request", c.ex.ID)
		}
	case c.surface.op == llm.OpBatch:
		c.settleBatch(target, body)
	}
	c.keepNamed(target, body)
	return body, nil
}

// isFailure reports whether an answer of status 200 is an error in truth: it has
// an error and nothing that answers have. A stored object may tell of its own.
func isFailure(body []byte, found []wire.Member) bool {
	failed := found[0].Value
	return !failed.IsZero() && !wire.IsNull(failed.Of(body)) && found[1].IsZero() && found[2].IsZero() && found[3].IsZero()
}

// isArray reports whether a body is a JSON array, as some rerankers answer.
func isArray(body []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) }

// isPage reports whether a body is a page of HTML: a proxy's, or that of another
// server. The type does not tell: whisper.cpp calls its plain text so, too.
func isPage(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	for _, begin := range [...]string{"<!doctype html", "<html"} {
		if len(body) >= len(begin) && bytes.EqualFold(body[:len(begin)], []byte(begin)) {
			return true
		}
	}
	return false
}

// mediaType is the content type of an answer, in lower case and without its
// parameters.
func mediaType(resp *h1.Response) string {
	kind, _, _ := strings.Cut(resp.Header.Get("content-type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

func isJSON(resp *h1.Response) bool {
	kind := mediaType(resp)
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// isText reports whether an answer is read whole. One without a type or a body
// is small.
func isText(resp *h1.Response) bool {
	kind := mediaType(resp)
	return kind == "" || isJSON(resp) || kind != "text/event-stream" && strings.HasPrefix(kind, "text/")
}

// safeHeaders are what of an upstream's header describes its body; the client
// gets them as they are.
var safeHeaders = [...]string{"Content-Disposition", "Content-Language", "Last-Modified", "Openai-Processing-Ms"}

// forwardHead sets the headers of an answer that is the upstream's own.
func (c *call) forwardHead(resp *h1.Response, target *candidate) {
	kind := resp.Header.Get("content-type")
	if kind == "" {
		kind = "application/octet-stream"
	}
	c.head(kind, resp, target)
	for _, name := range safeHeaders {
		if value := resp.Header.Get(name); value != "" {
			c.w.Header().Set(name, value)
		}
	}
}

// writeForward answers with a complete body under the upstream's status.
func (c *call) writeForward(status int, body []byte) *llm.Fault {
	c.ex.Status, c.committed = status, true
	c.ex.FirstToken = now().Sub(c.ex.Start)
	if status != http.StatusNoContent {
		c.set("Content-Length", strconv.Itoa(len(body)))
	}
	c.w.WriteHeader(status)
	if len(body) == 0 {
		return nil
	}
	return c.writeBody(body)
}

// passing is an answer that is copied as it comes.
type passing struct {
	call    *call
	target  *candidate
	attempt *ledger.Attempt
	resp    *h1.Response
	begin   time.Time
	events  bool // it is a stream of events, whose data is looked at
	line    []byte
}

// copyThrough copies an answer as it comes: what one read returned goes out in
// one write. A stream of events is looked at for what it has used.
func (c *call) copyThrough(target *candidate, a *ledger.Attempt, resp *h1.Response, begin time.Time) *llm.Fault {
	p := passing{call: c, target: target, attempt: a, resp: resp, begin: begin, events: isStream(resp, wire.SSE)}
	c.seen.Stream = p.events
	defer p.over()
	c.reply = grow(c.reply[:0], 32<<10)
	wait := c.firstDeadline(begin)
	for {
		_ = resp.SetReadDeadline(wait) // a connection that takes none has ended: the read will say so
		n, err := resp.Read(c.reply[:cap(c.reply)])
		if n > 0 {
			if f := p.send(c.reply[:n]); f != nil {
				return f
			}
			if wait = now().Add(c.to.Idle); wait.After(c.deadline) {
				wait = c.deadline
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return p.end()
		default:
			return p.broken(err)
		}
	}
}

// send writes what one read has returned.
func (p *passing) send(b []byte) *llm.Fault {
	c := p.call
	if !c.committed {
		p.commit()
	}
	if p.events {
		p.look(b)
	}
	n, err := c.w.Write(b)
	c.ex.SentBytes += int64(n)
	if err != nil {
		return clientGone(err)
	}
	c.ex.Events++
	c.flush()
	return nil
}

// commit sends the head.
func (p *passing) commit() {
	c := p.call
	p.attempt.FirstToken = now().Sub(p.begin)
	c.ex.FirstToken = now().Sub(c.ex.Start)
	c.forwardHead(p.resp, p.target)
	if p.events {
		c.w.Header()["Cache-Control"] = noCache
	} else if p.resp.ContentLength >= 0 {
		c.set("Content-Length", strconv.FormatInt(p.resp.ContentLength, 10))
	}
	c.ex.Status, c.committed = p.resp.Status, true
	setWriteDeadline(c.w, c.deadline.Add(drainTime))
	c.w.WriteHeader(p.resp.Status)
}

// over says what an answer that was copied has used: it was not kept, so the
// request, the headers and the stream's events must tell. The connection's next
// answer has a deadline of its own.
func (p *passing) over() {
	c := p.call
	if c.committed {
		setWriteDeadline(c.w, time.Time{})
	}
	if meter := c.surface.forward.meter; meter != nil && c.committed && !c.tap.HasUsage {
		c.reply = c.reply[:0]
		meter(c)
	}
}

// end completes an answer that has come to its end.
func (p *passing) end() *llm.Fault {
	if !p.call.committed {
		p.commit()
	}
	return nil
}

// broken is the fault of an answer that was cut.
func (p *passing) broken(err error) *llm.Fault {
	c := p.call
	kind, phase := llm.FaultIdle, llm.PhaseStream
	switch {
	case !now().Before(c.deadline):
		kind = llm.FaultTotal
	case !c.committed:
		kind = llm.FaultFirstToken
	}
	if !c.committed {
		phase = llm.PhaseFirstToken
	}
	f := c.final(upstream.Broken(err, kind))
	f.Phase = phase
	return f
}

// longestLine is the longest line of an event that is looked at: the ones with
// usage are the last and short, except where they repeat an image.
const longestLine = 4 << 20

// look gathers the data lines of events and notes the usage in them.
func (p *passing) look(b []byte) {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			if len(p.line)+len(b) <= longestLine {
				p.line = append(p.line, b...)
			}
			return
		}
		p.line = append(p.line, b[:end]...)
		b = b[end+1:]
		if data, ok := bytes.CutPrefix(p.line, []byte("data:")); ok && bytes.Contains(data, []byte(`"usage"`)) {
			noteUsage(&p.call.tap, bytes.TrimSpace(data))
		}
		p.line = p.line[:0]
	}
}

// noteUsage takes the usage of an object, if it has one.
func noteUsage(t *dialect.Tap, object []byte) {
	var found [1]wire.Member
	if _, err := wire.Scan(object, []string{"usage"}, found[:]); err != nil || found[0].IsZero() {
		return
	}
	if u, ok := mediaUsage(object, found[0].Value); ok {
		t.Usage, t.HasUsage = u, true
	}
}
