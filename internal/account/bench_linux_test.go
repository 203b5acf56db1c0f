package account

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// chains returns what makes chains of five accounts of n keys, with a rate of
// requests, one of tokens, places and a budget each.
func chains(tb testing.TB, a *Accounts, n int, now time.Time) func(i int) [5]*Account {
	tb.Helper()
	rules := rulesOf(tb, `requests=1G/m tokens=900G/m concurrent=100000 budget=900000000/month,hard,warn=80%`)
	at := func(l Level, name string) *Account { return a.Account(l, name, rules, now) }
	org, team, model := at(Organisation, "o"), at(Team, "t"), at(Model, "m")
	var customers, keys []*Account
	for i := range n {
		if i%100 == 0 {
			customers = append(customers, at(Customer, fmt.Sprintf("c%d", i)))
		}
		keys = append(keys, at(Key, fmt.Sprintf("k%d", i)))
	}
	return func(i int) [5]*Account {
		k := i * 7919 % n
		return [5]*Account{org, team, customers[k/100], keys[k], model}
	}
}

// cpu is the processor time of this process: on a machine that does other things
// the time on the clock says little.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkReserveAndSettle(b *testing.B) {
	for _, keys := range []int{10, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) { reserveAndSettle(b, keys) })
	}
}

func reserveAndSettle(b *testing.B, keys int) {
	now := time.Now()
	a := New(Options{})
	chain := chains(b, a, keys, now)
	var h Hold
	b.ReportAllocs()
	begin := cpu(b)
	for i := 0; b.Loop(); i++ {
		at := now.Add(time.Duration(i) * time.Microsecond)
		chain := chain(i)
		if r := a.Reserve(context.Background(), &h, chain[:], Want{Start: at, Input: 900, Output: 400, Nano: 5000, Bound: -1}); r != nil {
			b.Fatal(r)
		}
		h.Settle(at.Add(time.Second), Used{Input: 950, Output: 210, Nano: 4000})
	}
	b.ReportMetric(float64(cpu(b)-begin)/float64(b.N), "cpu-ns/op")
}

func BenchmarkReserveAndSettleParallel(b *testing.B) {
	now := time.Now()
	a := New(Options{})
	chain := chains(b, a, 100_000, now)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var h Hold
		for i := 0; pb.Next(); i++ {
			at := now.Add(time.Duration(i) * time.Microsecond)
			chain := chain(i)
			if r := a.Reserve(context.Background(), &h, chain[:], Want{Start: at, Input: 900, Output: 400, Nano: 5000, Bound: -1}); r != nil {
				b.Fatal(r)
			}
			h.Settle(at.Add(time.Second), Used{Input: 950, Output: 210, Nano: 4000})
		}
	})
}
