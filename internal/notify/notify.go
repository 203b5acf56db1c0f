// Package notify tells a webhook what happened: that a budget is nearly spent,
// say.
//
// It owns the queue of events, their form, their signature and their delivery. It
// never makes its caller wait, never opens a connection but by the client that it
// is given, and never repeats the webhook's address or secret in an error.
// Delivery is at least once while the program runs: a receiver tells a repetition
// by the event's id. What waits when the program ends is not delivered.
//
// Start reading at [Notifier].
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"tailplane/internal/secret"
)

// SignatureHeader carries "t=SECONDS,v1=HEX": HMAC-SHA-256 by the secret over the
// seconds, a dot and the body. A receiver compares it, and refuses old seconds.
const SignatureHeader = "X-Tailplane-Signature"

// Event is the body of a post.
type Event struct {
	ID   string          `json:"id"`   // the same in each attempt
	Kind string          `json:"kind"` // "budget.warning"
	At   time.Time       `json:"at"`
	Site string          `json:"site,omitempty"`
	Data json.RawMessage `json:"data"`
}

// Options is how a Notifier is made. Zero members take the default.
type Options struct {
	Webhook secret.Value // its address
	Secret  secret.Value // none signs nothing
	Client  *http.Client // the one way out
	Site    string
	Log     *slog.Logger // told of what is not delivered; nil tells nobody
	// Queue bounds the events that wait; default 256.
	Queue int
}

// The times of a delivery.
const (
	deadline   = 10 * time.Minute // from the event on
	patience   = 10 * time.Second // for one attempt
	firstPause = time.Second
	mostPause  = time.Minute
)

// Notifier delivers events one after the other. Send and Stats are safe for
// concurrent use; Run is called once.
type Notifier struct {
	opt    Options
	client http.Client
	wake   chan struct{} // size 1: the queue is not empty

	mu    sync.Mutex
	queue []Event // oldest first
	stats Stats
}

// Stats counts since the start.
type Stats struct {
	Sent    uint64 // taken by the webhook
	Dropped uint64 // given up for newer ones, because the queue was full
	Failed  uint64 // given up because the webhook did not take them
	Waiting int
	Err     error // of the last attempt; nil when it went well
}

// New makes a Notifier. The error is about the address, which it does not repeat.
func New(opt Options) (*Notifier, error) {
	if err := checkAddress(opt.Webhook.Reveal()); err != nil {
		return nil, err
	}
	if opt.Client == nil {
		return nil, errors.New("a notifier needs a client")
	}
	if opt.Queue <= 0 {
		opt.Queue = 256
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	n := &Notifier{opt: opt, client: *opt.Client, wake: make(chan struct{}, 1)}
	// What is posted goes to the place that was named, and to no other.
	n.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return n, nil
}

// Send takes an event and returns at once. Where the queue is full, the oldest
// one goes. Data marshals to JSON; what does not counts as failed.
func (n *Notifier) Send(kind string, data any) {
	raw, err := json.Marshal(data)
	e := Event{ID: "evt_" + rand.Text(), Kind: kind, At: time.Now().UTC(), Site: n.opt.Site, Data: raw}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.stats.Failed++
		n.stats.Err = err
		return
	}
	if over := len(n.queue) - n.opt.Queue + 1; over > 0 {
		n.queue = n.queue[over:]
		n.stats.Dropped += uint64(over)
	}
	n.queue = append(n.queue, e)
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Stats tells what happened so far.
func (n *Notifier) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.stats
	s.Waiting = len(n.queue)
	return s
}

// Run delivers until the context ends, and returns nil then.
func (n *Notifier) Run(ctx context.Context) error {
	for {
		e, ok := n.next()
		if !ok {
			select {
			case <-ctx.Done():
				return nil
			case <-n.wake:
			}
			continue
		}
		err := n.deliver(ctx, e)
		if ctx.Err() != nil {
			n.back(e)
			return nil
		}
		n.done(e, err)
	}
}

func (n *Notifier) next() (Event, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		return Event{}, false
	}
	e := n.queue[0]
	n.queue = n.queue[1:]
	return e, true
}

// back puts an event to where it was, so that it counts as waiting.
func (n *Notifier) back(e Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append([]Event{e}, n.queue...)
}

func (n *Notifier) done(e Event, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		n.stats.Sent++
		return
	}
	n.stats.Failed++
	n.opt.Log.Warn("the webhook did not take an event", "kind", e.Kind, "id", e.ID, "err", err)
}

// deliver posts an event until the webhook takes it, refuses it, or the event's
// time is over.
func (n *Notifier) deliver(ctx context.Context, e Event) error {
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		again, err := n.post(ctx, e)
		n.attempted(err)
		if err == nil || !again {
			return err
		}
		// Half of the pause is drawn, so that many gateways do not come at once.
		wait := pause/2 + mathrand.N(pause/2)
		if time.Since(e.At)+wait > deadline {
			return fmt.Errorf("given up after %v: %w", deadline, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (n *Notifier) attempted(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats.Err = err
}

// post tries once; again says whether a later attempt may go better.
func (n *Notifier) post(ctx context.Context, e Event) (again bool, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.opt.Webhook.Reveal(), bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the webhook is no address") // the error would repeat it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tailplane")
	if !n.opt.Secret.IsZero() {
		req.Header.Set(SignatureHeader, signature(n.opt.Secret, time.Now(), body))
	}
	resp, err := n.client.Do(req)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // without the address
		}
		return true, fmt.Errorf("the webhook cannot be reached: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return false, nil
	case code/100 == 3:
		return false, fmt.Errorf("the webhook answers with %d and leads elsewhere; name that place", code)
	default:
		return code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout, fmt.Errorf("the webhook answers with %d", code)
	}
}

// signature is the value of the header.
func signature(key secret.Value, at time.Time, body []byte) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	_, _ = mac.Write([]byte(seconds + ".")) // a hash takes everything
	_, _ = mac.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
