package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	killRounds  = 5
	mostRounds  = 20 // where no kill came in the middle of a request
	connections = 20
	untilKill   = 60 // answers in a round before the kill
)

// seen is what the clients know: the requests that were answered whole, and
// those whose answer had begun when the program died.
type seen struct {
	mu    sync.Mutex
	whole map[string]bool
	begun map[string]bool
	tick  chan struct{} // one for each whole answer
	first chan struct{} // one for each answer that begins
}

// TestNothingIsLostWhenTheProgramIsKilled: whatever a client saw answered is in
// the ledger once, and whatever had begun is there as well.
func TestNothingIsLostWhenTheProgramIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	dir := t.TempDir()
	s := &seen{whole: map[string]bool{}, begun: map[string]bool{}, tick: make(chan struct{}, 10_000), first: make(chan struct{}, 10_000)}
	unknown := 0
	p := launch(t, "tailplane", dir, nil, "--no-detect")
	_, after, _ := strings.Cut(read(t, filepath.Join(dir, "serve.out")), "sk-tp-")
	key := "sk-tp-" + strings.Fields(after)[0]
	round := 0
	for ; round < killRounds || round < mostRounds && (unknown == 0 || len(s.begun) == 0); round++ {
		var wg sync.WaitGroup
		for i := range connections {
			wg.Go(func() { s.load(p.data, key, i%2 == 0) })
		}
		for range untilKill {
			<-s.tick
		}
		empty(s.first)
		<-s.first // so that the kill comes in the middle of answers
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		wg.Wait() // every client has noticed
		_ = p.cmd.Wait()
		empty(s.tick)
		p = launch(t, "tailplane", dir, nil, "--no-detect")
		found := p.unknown(t)
		unknown += found
		banner := read(t, filepath.Join(dir, "serve.out"))
		if told := strings.Contains(banner, fmt.Sprintf("%d request", found)); found > 0 && !told {
			t.Errorf("round %d: %d unknown requests, and the banner says\n%s", round, found, banner)
		}
		s.compare(t, p.records(t), round)
	}
	if unknown == 0 || len(s.begun) == 0 {
		t.Error("no kill came in the middle of a request: the test proves nothing")
	}
	t.Logf("%d whole answers, %d cut ones, %d unknown in the ledger, after %d kills", len(s.whole), len(s.begun), unknown, round)
	p.end(t)
}

func empty(c chan struct{}) {
	for len(c) > 0 {
		<-c
	}
}

// load calls until the program is gone.
func (s *seen) load(url, key string, stream bool) {
	client := http.Client{Transport: &http.Transport{}}
	body := fmt.Sprintf(`{"model":"sim/fast","stream":%v,"messages":[{"role":"user","content":"hello"}]}`, stream)
	for {
		req, err := http.NewRequest(http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := client.Do(req)
		if err != nil {
			return
		}
		s.first <- struct{}{}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		end := "}"
		if stream {
			end = "data: [DONE]\n\n"
		}
		s.note(resp.Header.Get("X-Request-Id"), err == nil && strings.HasSuffix(string(answer), end))
		if err != nil {
			return
		}
	}
}

func (s *seen) note(id string, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !whole {
		s.begun[id] = true
		return
	}
	s.whole[id] = true
	s.tick <- struct{}{}
}

// compare holds what the clients saw against the ledger.
func (s *seen) compare(t *testing.T, ledger map[string]string, round int) {
	t.Helper()
	for id := range s.whole {
		if ledger[id] != "ok" {
			t.Errorf("round %d: %s was answered, and the ledger says %q", round, id, ledger[id])
		}
	}
	for id := range s.begun {
		if ledger[id] == "" {
			t.Errorf("round %d: %s had begun, and the ledger does not know it", round, id)
		}
	}
}

// unknown asks the running program how many requests of a killed run it found.
func (p *program) unknown(t *testing.T) int {
	t.Helper()
	var status struct{ Ledger struct{ Unknown, Lost int } }
	p.manage(t, "/admin/v1/status", &status)
	if status.Ledger.Lost > 0 {
		t.Errorf("%d records are lost", status.Ledger.Lost)
	}
	return status.Ledger.Unknown
}

// records are the outcomes in the ledger, by request. None may stand there twice. They
// are exported: a list has a thousand at most, and on a slow machine there are more.
func (p *program) records(t *testing.T) map[string]string {
	t.Helper()
	now := time.Now().UTC()
	days := "from=" + now.AddDate(0, 0, -1).Format(time.DateOnly) + "&to=" + now.AddDate(0, 0, 2).Format(time.DateOnly)
	body := p.managed(t, "/admin/v1/export?"+days)
	defer body.Close()
	out, lines := map[string]string{}, json.NewDecoder(body)
	for {
		var ex struct {
			ID, Outcome string
			End         bool
			Lines       int
		}
		if err := lines.Decode(&ex); err != nil {
			t.Fatal(err)
		}
		if ex.End {
			if ex.Lines != len(out) {
				t.Errorf("%d records are %d requests", ex.Lines, len(out))
			}
			break
		}
		if out[ex.ID] != "" {
			t.Errorf("%s stands twice in the ledger", ex.ID)
		}
		out[ex.ID] = ex.Outcome
	}
	var sums []struct{ Requests int }
	p.manage(t, "/admin/v1/usage?by=outcome", &sums)
	total := 0
	for _, row := range sums {
		total += row.Requests
	}
	if total != len(out) {
		t.Errorf("usage counts %d requests, the export has %d", total, len(out))
	}
	return out
}

func (p *program) manage(t *testing.T, path string, into any) {
	t.Helper()
	body := p.managed(t, path)
	defer body.Close()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// managed is what the admin API answers.
func (p *program) managed(t *testing.T, path string) io.ReadCloser {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, p.adm+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(read(t, filepath.Join(p.dir, "state", "admin.token"))))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Body
}
