package policy

import (
	"context"
	"fmt"
	"testing"

	"tailplane/internal/account"
	"tailplane/internal/facts"
)

// many is a store with a hundred thousand keys of a hundred customers, and the
// text of one of them.
func many(b *testing.B) (*Store, *Keys, string) {
	b.Helper()
	s := NewStore(Pepper{}, nil)
	var parties []facts.Change
	for i := range 100 {
		parties = append(parties, facts.Change{Kind: facts.KindCustomer, Name: fmt.Sprint("c", i), Body: []byte(`{}`)})
	}
	if err := s.apply(b.Context(), "bench", t0, parties...); err != nil {
		b.Fatal(err)
	}
	var list []Imported
	for i := range 100_000 {
		im := Imported{KeySpec: KeySpec{Name: fmt.Sprint("k", i), Customer: fmt.Sprint("c", i%100)}, Hash: plainHash(fmt.Sprint("sk-", i)), At: "x"}
		list = append(list, im)
	}
	if _, err := s.ImportKeys(b.Context(), "bench", list, false, t0); err != nil {
		b.Fatal(err)
	}
	v, _, err := s.CreateKey(b.Context(), "bench", Order{KeySpec: KeySpec{Name: "app", Customer: "c1"}}, t0)
	if err != nil {
		b.Fatal(err)
	}
	keys, err := NewKeys(Setting{}, s)
	if err != nil {
		b.Fatal(err)
	}
	keys.Use(t0)
	return s, keys, v.Reveal()
}

func BenchmarkHundredThousandKeys(b *testing.B) {
	s, keys, own := many(b)
	find := func(text string, is bool) func(b *testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if (keys.Find(text, t0) != nil) != is {
					b.Fatal("it is not what it was")
				}
			}
		}
	}
	b.Run("find own", find(own, true))
	b.Run("find imported", find("sk-77777", true))
	b.Run("find nobody's", find("sk-nobody", false))
	b.Run("attribute", func(b *testing.B) {
		key := keys.Find(own, t0)
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = keys.Attribute(key, Claim{})
		}
	})
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			keys.Use(t0)
		}
	})
	b.Run("create", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.CreateKey(context.Background(), "bench", Order{KeySpec: KeySpec{Name: "new", Customer: "c1"}}, t0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("revoke", func(b *testing.B) {
		id := keys.Find(own, t0).ID
		for b.Loop() {
			if _, err := s.RevokeKey(context.Background(), "bench", id, t0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("change a customer of a thousand keys", func(b *testing.B) {
		p := s.ListParties()[0]
		for b.Loop() {
			var err error
			if p, err = s.PutParty(context.Background(), "bench", account.Customer, p.Name, PartyConfig{}, p.Revision, t0); err != nil {
				b.Fatal(err)
			}
		}
	})
}
