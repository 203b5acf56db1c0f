package gossip

import (
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// BenchmarkThousandDeltas is a second of a gateway that takes 330 requests: a
// thousand deltas in a hundred packets, encrypted, over real sockets to three
// peers in this process, which decrypt and apply them. cpu-ms/op is what all
// four take together.
func BenchmarkThousandDeltas(b *testing.B) {
	k := key(b, "GOSSIP_KEY", testKey)
	var nodes []*node
	for range 4 {
		c := Config{Listen: "127.0.0.1:0", Key: k}
		if len(nodes) > 0 {
			c.Join = []string{nodes[0].Address().String()}
		}
		nodes = append(nodes, start(b, c, Options{Dial: (&net.Dialer{}).DialContext}))
	}
	for deadline := time.Now().Add(10 * time.Second); len(nodes[0].Members()) < 3; runtime.Gosched() {
		if time.Now().After(deadline) {
			b.Fatal("they do not find each other")
		}
	}
	b.ReportAllocs()
	tick := time.NewTicker(10 * time.Millisecond)
	before := cpu(b)
	for b.Loop() {
		for range 100 {
			for i := range uint64(10) {
				nodes[0].Tell(Delta{Group: 1, Replica: i % 4, Work: 180_000, Tokens: 12_000, Lane: i << 32, Head: i << 40, End: 48_000})
			}
			<-tick.C
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(nodes[1].Members()[0].Lost), "lost")
}

// cpu is what the process used of all cores.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
