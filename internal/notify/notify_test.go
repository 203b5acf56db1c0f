package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/secret"
)

const address = "https://hooks.example/T0K3N"

// hook is a webhook, in memory.
type hook struct {
	mu     sync.Mutex
	answer func(n int) (int, error) // to the n-th post, from 1
	posts  []*http.Request
	bodies []string
	times  []time.Time
}

func (h *hook) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.posts, h.bodies, h.times = append(h.posts, r), append(h.bodies, string(body)), append(h.times, time.Now())
	n := len(h.posts)
	h.mu.Unlock()
	code, err := h.answer(n)
	if err != nil {
		return nil, err
	}
	if code == 0 { // never answers
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Location": {"https://elsewhere.example/"}}, Body: io.NopCloser(strings.NewReader("thanks")), Request: r}, nil
}

// running is a notifier that runs in a bubble.
func running(t *testing.T, h *hook, queue int) (n *Notifier, said func() string) {
	t.Helper()
	var log syncText
	n, err := New(Options{Webhook: secret.Plain(address), Secret: secret.Plain("hush"), Client: &http.Client{Transport: h}, Site: "s", Queue: queue, Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); wg.Wait() })
	return n, log.String
}

func always(code int) func(int) (int, error) { return func(int) (int, error) { return code, nil } }

func TestAnEventIsPostedAndSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hook{answer: always(204)}
		n, _ := running(t, h, 0)
		n.Send("budget.warning", map[string]int{"share_percent": 80})
		synctest.Wait()
		if len(h.posts) != 1 {
			t.Fatalf("%d posts", len(h.posts))
		}
		var e Event
		if err := json.Unmarshal([]byte(h.bodies[0]), &e); err != nil || e.Kind != "budget.warning" || e.Site != "s" || string(e.Data) != `{"share_percent":80}` || e.ID == "" {
			t.Errorf("%s: %v", h.bodies[0], err)
		}
		r := h.posts[0]
		want := signature(secret.Plain("hush"), time.Now(), []byte(h.bodies[0]))
		if r.Method != "POST" || r.URL.String() != address || r.Header.Get(SignatureHeader) != want || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v, want %s", r.Method, r.URL, r.Header, want)
		}
		if s := n.Stats(); s.Sent != 1 || s.Failed+s.Dropped != 0 || s.Waiting != 0 || s.Err != nil {
			t.Errorf("%+v", s)
		}
	})
}

// TestTheSignatureIsWhatTheHeaderSays, reckoned elsewhere:
// printf '1.{}' | openssl dgst -sha256 -hmac hush.
func TestTheSignatureIsWhatTheHeaderSays(t *testing.T) {
	if got := signature(secret.Plain("hush"), time.Unix(1, 0), []byte("{}")); got != "t=1,v1=e5732bc2f3073c9bb56f6071cb8f2237ac9573aa69eb6635e22b57da36ba71b2" {
		t.Error(got)
	}
}

func TestItTriesAgainWhereThatMayHelp(t *testing.T) {
	cases := []struct {
		name   string
		answer func(int) (int, error)
		posts  int // at least, and no more than twice as many
		sent   uint64
		err    string
	}{
		{"a bad minute", func(n int) (int, error) {
			if n < 4 {
				return 503, nil
			}
			return 200, nil
		}, 4, 1, ""},
		{"too many", func(n int) (int, error) { return []int{429, 408, 200}[n-1], nil }, 3, 1, ""},
		{"refused", always(400), 1, 0, "answers with 400"},
		{"led elsewhere", always(307), 1, 0, "name that place"},
		{"away for long", func(int) (int, error) { return 0, errors.New("no route") }, 14, 0, "given up after 10m0s: the webhook cannot be reached: no route"},
		{"silent", always(0), 11, 0, "deadline exceeded"},
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			h := &hook{answer: c.answer}
			n, said := running(t, h, 0)
			start := time.Now()
			n.Send("x", nil)
			time.Sleep(15 * time.Minute)
			synctest.Wait()
			if len(h.posts) < c.posts || len(h.posts) > 2*c.posts || c.sent == 1 && len(h.posts) != c.posts {
				t.Errorf("%s: %d posts, want %d", c.name, len(h.posts), c.posts)
			}
			if s := n.Stats(); s.Sent != c.sent || s.Failed != 1-c.sent || s.Waiting != 0 {
				t.Errorf("%s: %+v", c.name, s)
			}
			if last := h.times[len(h.times)-1]; last.Sub(start) > deadline {
				t.Errorf("%s: the last attempt came after %v", c.name, last.Sub(start))
			}
			if text := said(); !strings.Contains(text, c.err) || strings.Contains(text, "T0K3N") || strings.Contains(text, "hush") || c.err == "" && text != "" {
				t.Errorf("%s: said %q, want %q", c.name, text, c.err)
			}
			for _, b := range h.bodies {
				if b != h.bodies[0] {
					t.Errorf("%s: another body in another attempt", c.name)
				}
			}
		})
	}
}

func TestAFullQueueLosesTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hook{answer: func(n int) (int, error) {
			if n == 1 {
				return 0, nil
			}
			return 200, nil
		}}
		n, _ := running(t, h, 3)
		n.Send("first", nil)
		synctest.Wait() // it is on its way
		for i := range 5 {
			n.Send(fmt.Sprint(i), nil)
		}
		if s := n.Stats(); s.Dropped != 2 || s.Waiting != 3 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		var kinds []string
		for _, b := range h.bodies {
			var e Event
			if err := json.Unmarshal([]byte(b), &e); err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, e.Kind)
		}
		if got := strings.Join(kinds, " "); got != "first first 2 3 4" {
			t.Errorf("posted %s", got)
		}
	})
}

// TestAnEventThatWaitedTooLongIsTriedOnce: after a long night of the webhook, the
// queue does not take ten minutes for each event.
func TestAnEventThatWaitedTooLongIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hook{answer: always(500)}
		n, _ := running(t, h, 0)
		for range 20 {
			n.Send("x", nil)
		}
		time.Sleep(11 * time.Minute)
		if s := n.Stats(); s.Failed != 20 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhatWaitsAtTheEndIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hook{answer: always(500)}
		n, err := New(Options{Webhook: secret.Plain(address), Client: &http.Client{Transport: h}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		n.Send("x", nil)
		n.Send("y", nil)
		n.Send("z", func() {}) // no JSON
		time.Sleep(time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s := n.Stats(); s.Waiting != 2 || s.Failed != 1 || s.Sent != 0 {
			t.Errorf("%+v", s)
		}
		if h.posts[0].Header.Get(SignatureHeader) != "" {
			t.Error("signed without a secret")
		}
	})
}

func TestConfigIsValidated(t *testing.T) {
	ref, err := secret.Parse("env:S")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		c    Config
		want string
	}{
		{Config{}, ""},
		{Config{Webhook: "https://h.example/x", Secret: ref}, ""},
		{Config{Webhook: "http://10.0.0.1:9/x"}, ""},
		{Config{Webhook: "env:HOOK"}, ""},
		{Config{Secret: ref}, "notify.secret"},
		{Config{Webhook: "h.example/SECRET"}, "notify.webhook"},
		{Config{Webhook: "https:///SECRET"}, "notify.webhook"},
		{Config{Webhook: "https://u:SECRET@h.example/"}, "notify.webhook"},
		{Config{Webhook: "https://h.example/#SECRET"}, "notify.webhook"},
	}
	for _, c := range cases {
		var got []string
		c.c.Validate(func(path, wrong, right string) {
			got = append(got, path)
			if strings.Contains(wrong+right, "SECRET") {
				t.Errorf("%q repeats the address", wrong)
			}
		})
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v, want %q", c.c, got, c.want)
		}
	}
	if r := (Config{Webhook: "env:HOOK"}).Ref(); r.IsZero() {
		t.Error("no reference")
	}
	if _, err := New(Options{Webhook: secret.Plain("nonsense"), Client: &http.Client{}}); err == nil {
		t.Error("no address is taken")
	}
	if _, err := New(Options{Webhook: secret.Plain(address)}); err == nil {
		t.Error("no client is taken")
	}
}
