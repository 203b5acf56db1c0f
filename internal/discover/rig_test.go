package discover

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// names is a resolver that says what it is told to.
type names struct {
	mu      sync.Mutex
	asked   int
	ips     []string
	records []*net.SRV
	err     error
}

func (n *names) set(err error, ips ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err, n.ips = err, ips
}

func (n *names) LookupNetIP(_ context.Context, network, _ string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if n.err != nil {
		return nil, n.err
	}
	var out []netip.Addr
	for _, text := range n.ips {
		if ip := netip.MustParseAddr(text); ip.Is4() == (network == "ip4") {
			out = append(out, ip)
		}
	}
	return out, nil
}

func (n *names) LookupSRV(_ context.Context, service, proto, _ string) (string, []*net.SRV, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if service != "" || proto != "" {
		return "", nil, fmt.Errorf("the name is not asked for as it is")
	}
	return "", n.records, n.err
}

var notFound = &net.DNSError{Err: "no such host", Name: "vllm", IsNotFound: true}

// managed is a manager that runs in a bubble, with what it told.
type managed struct {
	*Manager
	names   *names
	log     *strings.Builder
	changes int
}

// bubble runs a test with a manager; it is joined at the end.
func bubble(t *testing.T, test func(t *testing.T, m *managed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &managed{names: &names{}, log: &strings.Builder{}}
		m.Manager = NewManager(Options{
			With:    With{Resolver: m.names},
			Log:     slog.New(slog.NewTextHandler(m.log, nil)),
			Changed: func() { m.changes++ },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		test(t, m)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// pass lets time go by until everything waits.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// shown are replicas as NAME, with "-" in front where they take nothing new.
func shown(list []Replica) string {
	var out []string
	for _, r := range list {
		text := strings.TrimPrefix(r.Called, r.Target+"/")
		if !r.Usable {
			text = "-" + text
		}
		if r.Weight > 0 || r.Rank > 0 {
			text += fmt.Sprintf("*%d@%d", r.Weight, r.Rank)
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func (m *managed) wants(t *testing.T, c Config, want string) {
	t.Helper()
	synctest.Wait()
	if got := shown(m.Replicas("llama", c)); got != want {
		t.Errorf("the replicas are [%s], want [%s]", got, want)
	}
}
