package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"tailplane/internal/replay"
)

// play sends a trace by the clock through the gateway, at the pace of the setup.
func (st *stage) play(ctx context.Context, t *replay.Trace, s *replay.Setup) (*replay.Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &player{stage: st, trace: t, begin: time.Now()}
	p.web = &http.Client{Transport: trusting(st.client.DataKey)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var sent sync.WaitGroup
	for i := range t.Requests {
		r := &t.Requests[i]
		due := p.begin.Add(ahead + time.Duration(float64(r.At)/s.Load.Scale))
		timer.Reset(time.Until(due.Add(-ahead)))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		sent.Go(func() {
			if err := p.send(ctx, r, due); err != nil {
				cancel(err)
			}
		})
	}
	sent.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return &p.out, nil
}

// ahead is how long before it is sent a request is written, so that writing does
// not delay what arrives with it.
const ahead = 500 * time.Millisecond

// player sends requests and notes what came back.
type player struct {
	*stage
	trace *replay.Trace
	web   *http.Client
	begin time.Time
	mu    sync.Mutex // of out
	out   replay.Outcome
}

func (p *player) send(ctx context.Context, r *replay.Request, due time.Time) error {
	first, rest := p.trace.Words(r, p.trace.Lane, 0)
	messages := []map[string]string{{"role": "user", "content": first}}
	if rest != "" {
		messages = append(messages, map[string]string{"role": "user", "content": rest})
	}
	body, err := json.Marshal(map[string]any{
		"model": liveModel, "messages": messages, "max_tokens": r.Output, "ignore_eos": true,
		"stream": true, "stream_options": map[string]bool{"include_usage": true},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.client.api()+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	select {
	case <-time.After(time.Until(due)):
	case <-ctx.Done():
		return ctx.Err()
	}
	begin := time.Now()
	resp, err := p.web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // the status says enough
		return fmt.Errorf("the gateway answered with status %d: %s", resp.StatusCode, raw)
	}
	begun, used, err := listen(resp.Body)
	if err != nil {
		return err
	}
	p.note(r, begin, begun, used)
	return nil
}

// usage is what an engine counted.
type usage struct {
	Prompt  int `json:"prompt_tokens"`
	Output  int `json:"completion_tokens"`
	Details struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// listen reads a stream: when its first text came, and what it counted.
func listen(body io.Reader) (first time.Time, used usage, err error) {
	lines := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			if used.Output == 0 {
				return first, used, errors.New("the stream ended without its end")
			}
			return first, used, nil
		case err != nil:
			return first, used, err
		case first.IsZero() && bytes.Contains(line, []byte(`"content":"`)) && !bytes.Contains(line, []byte(`"content":""`)):
			first = time.Now()
		case bytes.Contains(line, []byte(`"completion_tokens"`)):
			var chunk struct{ Usage *usage }
			if json.Unmarshal(bytes.TrimPrefix(bytes.TrimSpace(line), []byte("data: ")), &chunk) == nil && chunk.Usage != nil {
				used = *chunk.Usage
			}
		}
	}
}

func (p *player) note(r *replay.Request, begin, first time.Time, used usage) {
	end := time.Now()
	if first.IsZero() {
		first = end
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := &p.out
	o.TTFT = append(o.TTFT, first.Sub(begin).Seconds())
	o.E2E = append(o.E2E, end.Sub(begin).Seconds())
	o.At = append(o.At, (begin.Sub(p.begin) - ahead).Seconds())
	if used.Output > 1 {
		o.TPOT = append(o.TPOT, end.Sub(first).Seconds()/float64(used.Output-1))
	}
	o.Prompt += int64(used.Prompt)
	o.Cached += int64(used.Details.Cached)
	o.Output += int64(used.Output)
	o.Makespan = max(o.Makespan, end.Sub(p.begin)-ahead)
}

// playLive plays each setup through real HTTP, and beside it in virtual time with
// engines that are as quick: a policy that thinks in seconds must see the same
// seconds in both.
func playLive(ctx context.Context, d Deps, t *replay.Trace, setups []replay.Setup, speedup float64) ([]replay.Result, error) {
	if len(t.Requests) == 0 {
		return nil, errors.New("--live plays traces by the clock; this one is of sessions")
	}
	if setups[0].Load.Spread {
		t = t.Spread(setups[0].Seed)
	}
	var played []replay.Played
	for _, s := range setups {
		s.Load.Spread = false
		quick := s.Faster(speedup)
		st, err := raise(ctx, d, &quick)
		if err != nil {
			return nil, err
		}
		real, err := st.play(ctx, t, &quick)
		if err := cmp.Or(err, st.stop()); err != nil {
			return nil, err
		}
		simulated, err := replay.Run(ctx, t, quick)
		if err != nil {
			return nil, err
		}
		real.Slower(speedup)
		simulated.Slower(speedup)
		beside := s
		beside.Label += ", simulated"
		played = append(played, replay.Played{Setup: s, Outcome: real}, replay.Played{Setup: beside, Outcome: simulated})
	}
	return replay.Summarise(played), nil
}
