package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// island moves this goroutine, and every process that it starts from now on, to
// a network of their own in which there is nothing but the loopback: no
// interface, no route, no DNS server. The thread is never given back.
func island(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Skipf("a network namespace of its own needs root: %v", err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	up := struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}{[16]byte{'l', 'o'}, syscall.IFF_UP | syscall.IFF_RUNNING, [22]byte{}}
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&up))); no != 0 {
		t.Skipf("the loopback of the namespace cannot be switched on: %v", no)
	}
	if c, err := net.DialTimeout("tcp", "192.0.2.1:443", time.Second); !errors.Is(err, syscall.ENETUNREACH) {
		t.Fatalf("there is a way out: %v, %v", c, err)
	}
}

// kernel reads the counters that the kernel keeps of this network: connections
// that were opened by whoever, packets for which there was no route, and UDP
// packets sent, which would be questions to DNS.
func kernel(t *testing.T) (opened, lost, asked int) {
	t.Helper()
	for _, c := range []struct {
		group, name string
		into        *int
	}{{"Tcp", "ActiveOpens", &opened}, {"Ip", "OutNoRoutes", &lost}, {"Udp", "OutDatagrams", &asked}} {
		*c.into = -1
		var names []string
		for text := range strings.Lines(read(t, "/proc/thread-self/net/snmp")) {
			fields := strings.Fields(text)
			if fields[0] != c.group+":" {
				continue
			}
			if names == nil {
				names = fields
				continue
			}
			for i, name := range names {
				if name == c.name {
					if _, err := fmt.Sscan(fields[i], c.into); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if *c.into < 0 {
			t.Fatalf("the kernel does not count %s", c.name)
		}
	}
	return opened, lost, asked
}

const islandConfig = `egress: {default: deny}
targets:
  sim: {kind: sim, models: [fast, slow]}
  openai: {kind: openai, key: env:ISLAND_KEY}
  gpu: {kind: vllm, url: "http://10.2.0.14:8000"}
models:
  chat: {route: [sim/fast]}
`

// TestWithoutARouteEverythingLocalWorks: in a network without a way out the
// program starts at once, serves what is local, and tries nothing else, by its
// own book and by the kernel's counters. What is asked for by name is tried,
// told, and counted, so that the counting is known to work.
func TestWithoutARouteEverythingLocalWorks(t *testing.T) {
	island(t)
	const least, most, limit = 3, 30, time.Second
	best, dir := time.Hour, ""
	var p *program
	_, lostBefore, askedBefore := kernel(t)
	for n := 0; n < least || n < most && best > limit; n++ { // a busy machine is asked more often
		if p != nil {
			p.end(t)
		}
		dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tailplane.yaml"), []byte(islandConfig), 0o600); err != nil {
			t.Fatal(err)
		}
		openedBefore, _, _ := kernel(t)
		begin := time.Now()
		p = launch(t, "tailplane", dir, []string{"ISLAND_KEY=sk-0123456789abcdef"}, "--config", "tailplane.yaml")
		best = min(best, time.Since(begin))
		if opened, _, _ := kernel(t); opened != openedBefore {
			t.Errorf("%d connections were opened by a start", opened-openedBefore)
		}
	}
	if best > limit {
		t.Errorf("the best of %d starts without a network took %v, more than %v", most, best, limit)
	}
	t.Logf("start to ready: %.1f ms", best.Seconds()*1000)
	for _, c := range []struct{ args, want string }{
		{"try chat hello", "Hi! (simulated)"},
		{"try sim/slow hello", "(simulated)"},
		{"models", "sim/fast"},
		{"status", "2 admitted"},
		{"usage", "chat"},
		{"egress list -c tailplane.yaml", "api.openai.com:443"},
		{"egress report", "nothing was contacted since the start (egress.default: deny)"},
	} {
		if said := p.command(strings.Fields(c.args)...); !strings.Contains(said, c.want) || !strings.HasSuffix(said, "[<nil>]\n") {
			t.Errorf("want %q:\n%s", c.want, said)
		}
	}
	if contacts := p.contacts(t); len(contacts) != 0 {
		t.Errorf("the book has %+v", contacts)
	}
	if _, lost, asked := kernel(t); lost != lostBefore || asked != askedBefore {
		t.Errorf("the kernel counts %d packets without a route and %d to a DNS server", lost-lostBefore, asked-askedBefore)
	}
	p.reachesOut(t)
	p.end(t)
}

// reachesOut asks for what cannot be reached: told quickly, and counted.
func (p *program) reachesOut(t *testing.T) {
	t.Helper()
	for _, model := range []string{"openai/gpt-5-mini", "gpu/m"} {
		begin := time.Now()
		if said := p.command("try", model, "hello"); strings.HasSuffix(said, "[<nil>]\n") {
			t.Errorf("%s was reached:\n%s", model, said)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("it took %v to say that %s cannot be reached", took, model)
		}
	}
	contacts := p.contacts(t)
	if len(contacts) != 2 || contacts[0].Address != "10.2.0.14:8000" || contacts[1].Address != "api.openai.com:443" {
		t.Fatalf("the book has %+v", contacts)
	}
	for _, c := range contacts {
		if c.Dials == 0 || c.Failed != c.Dials || c.Refused != 0 {
			t.Errorf("the book has %+v", c)
		}
	}
}

// contact is a line of the egress report.
type contact struct {
	Address                string
	Dials, Failed, Refused int
}

// contacts asks the running program what it has contacted.
func (p *program) contacts(t *testing.T) []contact {
	t.Helper()
	cmd := exec.Command("tailplane", "egress", "report", "-o", "json")
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Contacts []contact }
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatal(err)
	}
	return report.Contacts
}
