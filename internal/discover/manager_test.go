package discover

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var byName = Config{DNS: DNS{Name: "vllm", Port: 8000}}

func TestReplicasAppearAndVanish(t *testing.T) {
	bubble(t, func(t *testing.T, m *managed) {
		m.names.set(nil, "10.0.0.7")
		if err := m.Apply(map[string]Config{"llama": byName}); err != nil {
			t.Fatal(err)
		}
		m.wants(t, byName, "10-0-0-7-8000")
		m.names.set(nil, "10.0.0.8", "10.0.0.7")
		pass(10 * time.Second)
		m.wants(t, byName, "10-0-0-7-8000 10-0-0-8-8000")
		m.names.set(nil, "10.0.0.8")
		pass(10 * time.Second)
		m.wants(t, byName, "10-0-0-8-8000")
		if pass(time.Second); m.changes != 3 {
			t.Errorf("%d changes were told, want 3", m.changes)
		}
		m.names.set(nil, "10.0.0.8", "10.0.0.8") // the same twice is the same
		pass(time.Minute)
		if m.changes != 3 {
			t.Errorf("a change was told where there was none")
		}
	})
}

// TestAFailureKeepsTheLastAnswer: however long it lasts, with a line in the log at
// its beginning and its end.
func TestAFailureKeepsTheLastAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, m *managed) {
		m.names.set(nil, "10.0.0.7")
		_ = m.Apply(map[string]Config{"llama": byName})
		pass(time.Second)
		m.names.set(errors.New("server misbehaving"))
		pass(24 * time.Hour)
		m.wants(t, byName, "10-0-0-7-8000")
		st := m.States()[0]
		if st.Failures != 8640 || st.Failed != 8640 || st.Why != "server misbehaving" || time.Since(st.Good).Round(time.Hour) != 24*time.Hour {
			t.Errorf("the source stands so: %+v", st)
		}
		m.names.set(nil, "10.0.0.7")
		pass(10 * time.Second)
		if st := m.States()[0]; st.Failures != 0 || st.Failed != 8640 || st.Why != "" {
			t.Errorf("after the failure the source stands so: %+v", st)
		}
		if m.changes != 1 {
			t.Errorf("%d changes were told, want 1", m.changes)
		}
		said := m.log.String()
		if strings.Count(said, "cannot be looked up") != 1 || strings.Count(said, "can be looked up again") != 1 || !strings.Contains(said, "replicas=1 found=\"10s ago\"") {
			t.Errorf("the log says:\n%s", said)
		}
	})
}

// TestFlappingDNS: a resolver that fails, forgets and remembers changes nothing.
func TestFlappingDNS(t *testing.T) {
	bubble(t, func(t *testing.T, m *managed) {
		m.names.set(nil, "10.0.0.7", "10.0.0.8")
		_ = m.Apply(map[string]Config{"llama": byName})
		pass(5 * time.Second)
		for range 100 {
			m.names.set(notFound)
			pass(10 * time.Second)
			m.names.set(errors.New("timeout"))
			pass(10 * time.Second)
			m.wants(t, byName, "10-0-0-7-8000 10-0-0-8-8000")
			m.names.set(nil, "10.0.0.8", "10.0.0.7")
			pass(10 * time.Second)
		}
		if m.changes != 1 {
			t.Errorf("%d changes were told, want 1", m.changes)
		}
	})
}

func TestAnEmptyAnswerIsBelievedAfterAWhile(t *testing.T) {
	cases := []struct {
		name  string
		grace time.Duration
		dns   string // not_found
		want  time.Duration
	}{
		{"by default", 0, "", 30 * time.Second},
		{"at once", time.Millisecond, "empty", time.Millisecond},
		{"between two answers", 15 * time.Second, "", 15 * time.Second},
		{"never, where it is a failure", time.Second, "failure", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, m *managed) {
				config := Config{DNS: DNS{Name: "vllm", Port: 8000, NotFound: c.dns}, EmptyGrace: c.grace}
				m.names.set(nil, "10.0.0.7")
				_ = m.Apply(map[string]Config{"llama": config})
				pass(5 * time.Second)
				m.names.set(notFound)
				pass(5 * time.Second) // now it is said
				if c.want == 0 {
					pass(time.Hour)
					m.wants(t, config, "10-0-0-7-8000")
					return
				}
				pass(c.want - time.Nanosecond)
				m.wants(t, config, "10-0-0-7-8000")
				if st := m.States()[0]; st.Doubt.IsZero() {
					t.Error("the state does not tell that the answer is doubted")
				}
				pass(time.Nanosecond)
				m.wants(t, config, "")
			})
		})
	}
}

// TestARolloutIsOneChange: fifty changes within a moment are one, and a stream of
// them that does not end is told all the same.
func TestARolloutIsOneChange(t *testing.T) {
	bubble(t, func(t *testing.T, m *managed) {
		config := Config{DNS: DNS{Name: "vllm", Port: 8000, Interval: 20 * time.Millisecond}}
		_ = m.Apply(map[string]Config{"llama": config})
		pass(time.Second)
		m.changes = 0
		flip := func(n int, every time.Duration) {
			for i := range n {
				m.names.set(nil, "10.0.0.7", []string{"10.0.1.1", "10.0.1.2"}[i%2])
				pass(every)
			}
		}
		flip(50, 20*time.Millisecond)
		pass(time.Second)
		if m.changes != 1 {
			t.Errorf("a second of changes was told %d times, want once", m.changes)
		}
		m.changes = 0
		flip(1000, 20*time.Millisecond)
		if m.changes < 6 || m.changes > 7 {
			t.Errorf("20 seconds of changes were told %d times, want every 3 seconds", m.changes)
		}
	})
}

// TestApplyKeepsWhatHasNotChanged: its source is not asked anew; another config
// is another source.
func TestApplyKeepsWhatHasNotChanged(t *testing.T) {
	bubble(t, func(t *testing.T, m *managed) {
		m.names.set(nil, "10.0.0.7")
		other := Config{DNS: DNS{Name: "vllm", Port: 9000}}
		_ = m.Apply(map[string]Config{"llama": byName, "gone": other})
		pass(time.Second)
		asked := m.names.asked
		_ = m.Apply(map[string]Config{"llama": byName})
		pass(time.Second)
		if m.names.asked != asked {
			t.Error("a source that has not changed was asked again")
		}
		if len(m.States()) != 1 {
			t.Errorf("%d sources run, want 1", len(m.States()))
		}
		if err := m.Prepare(t.Context(), map[string]Config{"llama": other}); err != nil {
			t.Fatal(err)
		}
		m.wants(t, other, "10-0-0-7-9000")
		m.wants(t, byName, "10-0-0-7-8000") // as long as the old plane serves
		_ = m.Apply(map[string]Config{"llama": other})
		if len(m.States()) != 1 || m.Replicas("llama", byName) != nil {
			t.Error("the source before goes on")
		}
	})
}

// TestPrepareWaitsForTheFirstAnswer: be it a failure, and not for ever.
func TestPrepareWaitsForTheFirstAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, m *managed) {
		m.names.set(errors.New("refused"))
		if err := m.Prepare(t.Context(), map[string]Config{"llama": byName}); err != nil {
			t.Fatal(err)
		}
		if st := m.States()[0]; st.Failures != 1 || st.Answered {
			t.Errorf("the source stands so: %+v", st)
		}
		m.opt.Kubernetes = func(Kubernetes) (Discoverer, error) { return silent{}, nil }
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		if err := m.Prepare(ctx, map[string]Config{"other": {Kubernetes: Kubernetes{Service: "x"}}}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("it waited for %v, want 5s", d)
		}
		m.opt.Kubernetes = func(Kubernetes) (Discoverer, error) { return nil, errors.New("no cluster here") }
		err := m.Apply(map[string]Config{"llama": byName, "third": {Kubernetes: Kubernetes{Service: "y"}}})
		if err == nil || err.Error() != `target "third": discover: no cluster here` {
			t.Errorf("the error is %v", err)
		}
		if len(m.States()) != 2 {
			t.Error("an error has changed something")
		}
	})
}

// silent says nothing.
type silent struct{}

func (silent) Run(ctx context.Context, _ chan<- Answer) error {
	<-ctx.Done()
	return nil
}

// ending ends by itself.
type ending struct{ times *int }

func (e ending) Run(context.Context, chan<- Answer) error {
	*e.times++
	return errors.New("broken pipe")
}

func TestASourceThatEndsIsBegunAgain(t *testing.T) {
	bubble(t, func(t *testing.T, m *managed) {
		times := 0
		m.opt.Kubernetes = func(Kubernetes) (Discoverer, error) { return ending{&times}, nil }
		_ = m.Apply(map[string]Config{"llama": {Kubernetes: Kubernetes{Service: "x"}}})
		pass(time.Minute)
		if st := m.States()[0]; times != 13 || st.Failures != 13 || st.Why != "broken pipe" {
			t.Errorf("after a minute it was begun %d times and stands so: %+v", times, st)
		}
	})
}

// TestStopBeforeAnyAnswer: a manager ends whatever its sources are doing.
func TestStopBeforeAnyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewManager(Options{With: With{Kubernetes: func(Kubernetes) (Discoverer, error) { return silent{}, nil }}, Log: quiet(), Changed: func() {}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = m.Apply(map[string]Config{"llama": {Kubernetes: Kubernetes{Service: "x"}}})
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
		_ = m.Apply(map[string]Config{"late": {Kubernetes: Kubernetes{Service: "x"}}}) // starts nothing
	})
}
