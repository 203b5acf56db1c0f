package account

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// chains returns n chains of five accounts that share all but the key's, with a
// rate of requests, one of tokens, places and a budget each.
func chains(tb testing.TB, a *Accounts, n int, now time.Time) [][]*Account {
	tb.Helper()
	rules := rulesOf(tb, `requests=1G/m tokens=900G/m concurrent=100000 budget=900000000/month,hard,warn=80%`)
	at := func(l Level, name string) *Account { return a.Account(l, name, rules, now) }
	org, team, model := at(Organisation, "o"), at(Team, "t"), at(Model, "m")
	out := make([][]*Account, n)
	customers := make([]*Account, 1000)
	for i := range customers {
		customers[i] = at(Customer, fmt.Sprintf("c%d", i))
	}
	for i := range out {
		out[i] = []*Account{org, team, customers[i%len(customers)], at(Key, fmt.Sprintf("k%d", i)), model}
	}
	return out
}

func BenchmarkReserveAndSettle(b *testing.B) {
	now := time.Now()
	a := New(Options{})
	list := chains(b, a, 100_000, now)
	var h Hold
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := now.Add(time.Duration(i) * time.Microsecond)
		if r := a.Reserve(context.Background(), &h, list[i*7919%len(list)], Want{Start: at, Input: 900, Output: 400, Nano: 5000, Bound: -1}); r != nil {
			b.Fatal(r)
		}
		h.Settle(at.Add(time.Second), Used{Input: 950, Output: 210, Nano: 4000})
	}
}

func BenchmarkReserveAndSettleParallel(b *testing.B) {
	now := time.Now()
	a := New(Options{})
	list := chains(b, a, 100_000, now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var h Hold
		for i := 0; pb.Next(); i++ {
			at := now.Add(time.Duration(i) * time.Microsecond)
			if r := a.Reserve(context.Background(), &h, list[i*7919%len(list)], Want{Start: at, Input: 900, Output: 400, Nano: 5000, Bound: -1}); r != nil {
				b.Fatal(r)
			}
			h.Settle(at.Add(time.Second), Used{Input: 950, Output: 210, Nano: 4000})
		}
	})
}
