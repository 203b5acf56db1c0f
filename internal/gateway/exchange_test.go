package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/llmtest"
	"tailplane/internal/wire"
)

// fill writes what was seen into the sections of the cases that have none yet,
// for a person to review: go test -run TestExchange/NAME -fill.
var fill = flag.Bool("fill", false, "fill in missing expectations of exchange cases")

// casesStart is the virtual time at which every case begins.
var casesStart = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// TestExchange runs every case of testdata/exchange; package llmtest describes
// their form. Each runs in a bubble of its own, so timeouts cost no time and a
// goroutine that is left behind is found.
func TestExchange(t *testing.T) {
	setSecrets(t)
	if _, err := prices(); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("../../testdata/exchange/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			c, err := llmtest.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { runCase(t, c) })
		})
	}
}

func runCase(t *testing.T, c *llmtest.Case) {
	time.Sleep(time.Until(casesStart))
	text := c.Config
	if !strings.Contains("\n"+text, "\nkeys:") {
		text += "\nkeys: {required: false}\n"
	}
	r := newRig(t, withTrained(t, text), nil)
	scripts, err := c.Upstreams()
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]*llmtest.Upstream{}
	for name, replies := range scripts {
		hosts[name] = r.host(name, replies...)
	}
	r.serve(r.net.Listen("gateway"))
	var shown bytes.Buffer // everything that the client saw
	for n := 1; ; n++ {
		raw, wait, ok := c.Request(n)
		if !ok {
			break
		}
		time.Sleep(wait + time.Millisecond) // so that no two begin at once
		if ids := requestID.FindAll(shown.Bytes(), -1); len(ids) > 0 {
			raw = bytes.ReplaceAll(raw, []byte(latestID), ids[len(ids)-1])
		}
		r.converse(c, n, raw, &shown)
	}
	r.stop()
	checkOutcomes(t, c, r)
	for name := range scrape(r.metrics) {
		fmt.Fprintln(&shown, name)
	}
	for name, u := range hosts {
		checkHost(t, c, name, u)
	}
	checkLedger(t, c, r)
	shown.Write(r.log.Bytes())
	for _, secret := range []string{clientKey, providerKey} {
		if at := bytes.Index(shown.Bytes(), []byte(secret)); at >= 0 {
			t.Errorf("a secret was shown: ...%q", shown.Bytes()[max(0, at-80):at])
		}
	}
}

// converse has the nth exchange of a case and checks the client's side of it.
func (r *rig) converse(c *llmtest.Case, n int, raw []byte, shown io.Writer) {
	conn, err := r.net.Dial(context.Background(), "tcp", "gateway:80")
	if err != nil {
		r.t.Fatal(err)
	}
	begin := time.Now()
	if text, leaves := c.Section(llmtest.Nth("client.leave", n)); leaves {
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil {
			r.t.Fatal(err)
		}
		time.AfterFunc(d, func() { _ = conn.Close() })
	}
	go func() { _, _ = conn.Write(raw) }() // the gateway may answer before it has read all
	a := readAnswer(conn)
	took := time.Since(begin)
	_ = conn.Close()
	fmt.Fprintf(shown, "%d %v\n%s\n", a.status, a.header, a.body)
	section := llmtest.Nth("client.response", n)
	if _, is := c.Section(section); !is && a.status != 0 && *fill {
		body := a.body
		if a.header.Get("Content-Type") == wire.EventStream.ContentType() {
			body = llmtest.Frames(body)
		}
		if err := c.Fill(section, fmt.Sprintf("HTTP %d\n\n%s", a.status, anyID(body))); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := c.Expect(section, fmt.Sprintf("HTTP %d", a.status), a.header, a.body); err != nil {
		r.t.Error(err)
	}
	if low, high, ok := c.Took(n); ok && (took < low || took > high) {
		r.t.Errorf("%s took %v, want %v to %v", section, took, low, high)
	}
	if _, leaves := c.Section(llmtest.Nth("client.leave", n)); !leaves && (a.err != nil) != c.Aborted(n) {
		r.t.Errorf("%s ended with error %v, aborted is %v", section, a.err, c.Aborted(n))
	}
	synctest.Wait() // the gateway has settled, as far as it can
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // the answer ended before its end
}

// readAnswer reads one answer to its end.
func readAnswer(conn net.Conn) answer {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{err: err}
	}
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body, err}
}

var requestID = regexp.MustCompile(`req_[0-9a-z]{26}`)

func anyID(b []byte) string { return requestID.ReplaceAllString(string(b), "{{id}}") }

// checkHost compares what a host was sent.
func checkHost(t *testing.T, c *llmtest.Case, name string, u *llmtest.Upstream) {
	heard := u.Heard()
	for i, h := range heard {
		section := llmtest.Nth("upstream."+name+".request", i+1)
		if _, is := c.Section(section); !is && *fill {
			if err := c.Fill(section, fmt.Sprintf("%s %s\n\n%s", h.Method, h.Target, h.Body)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Expect(section, h.Method+" "+h.Target, h.Header, h.Body); err != nil {
			t.Error(err)
		}
	}
	_, asked := c.Section(llmtest.Nth("upstream."+name+".request", len(heard)+1))
	_, scripted := c.Section(llmtest.Nth("upstream."+name+".response", len(heard)+1))
	if asked || scripted && len(heard) > 0 {
		t.Errorf("upstream %s was asked %d times", name, len(heard))
	}
	if u.Open() != 0 {
		t.Errorf("upstream %s has %d connections left", name, u.Open())
	}
}

// checkLedger compares the records.
func checkLedger(t *testing.T, c *llmtest.Case, r *rig) {
	list := r.recordsAfterStop()
	for i, ex := range list {
		record := asJSON(t, ex)
		for _, secret := range []string{clientKey, providerKey} {
			if bytes.Contains(record, []byte(secret)) {
				t.Errorf("a secret is in the ledger: %s", record)
			}
		}
		if want, ok := c.Section(llmtest.Nth("ledger", i+1)); ok {
			if err := llmtest.Subset(want, record, false); err != nil {
				t.Errorf("ledger: %v\n%s", err, record)
			}
		}
	}
	if _, more := c.Section(llmtest.Nth("ledger", len(list)+1)); more {
		t.Error(errors.New("the ledger has too few records"))
	}
}

// checkOutcomes compares what was kept to learn from.
func checkOutcomes(t *testing.T, c *llmtest.Case, r *rig) {
	want, ok := c.Section("outcomes")
	if r.outcomes == nil {
		return
	}
	var got strings.Builder
	for _, o := range r.outcomes() {
		fmt.Fprintln(&got, strings.TrimSpace(fmt.Sprintln(o.Source, o.Model, o.Good, o.Customer, o.Vector.Embedding)))
	}
	if ok && strings.TrimSpace(want) != strings.TrimSpace(got.String()) {
		t.Errorf("outcomes: %q, want %q", got.String(), want)
	}
}
