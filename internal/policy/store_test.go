package policy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/account"
	"tailplane/internal/facts"
	"tailplane/internal/pg"
	"tailplane/internal/secret"
)

// TestDirectoriesAreWhatABuildGives: whatever was changed in whatever order, the
// directory that grew by changes answers like one that is built at once, and like
// another gateway's that follows.
func TestDirectoriesAreWhatABuildGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shared := facts.NewMemory()
		open := func() (*Store, *Keys) {
			s := newStore(NewPepper([32]byte{7}), shared, account.New(account.Options{}))
			keys, err := NewKeys(Setting{Keys: Config{UnknownCustomer: Quarantine}, Teams: map[string]PartyConfig{"file": {}}}, s)
			if err != nil {
				t.Fatal(err)
			}
			keys.Use(t0)
			return s, keys
		}
		s, keys := open()
		other, followed := open()
		ctx := context.Background()
		var texts, ids []string
		names := []string{"a", "b", "file", Quarantine}
		limit := limits("5/s")
		party := func(t *rapid.T) (account.Level, string) {
			return rapid.SampledFrom([]account.Level{account.Organisation, account.Team, account.Customer}).Draw(t, "level"), rapid.SampledFrom(names).Draw(t, "party")
		}
		spec := func(t *rapid.T) KeySpec {
			spec := KeySpec{Name: "k", MayNameCustomers: true}
			switch rapid.IntRange(0, 3).Draw(t, "belongs") {
			case 1:
				spec.Organisation = rapid.SampledFrom(names).Draw(t, "organisation")
			case 2:
				spec.Team = rapid.SampledFrom(names).Draw(t, "team")
			case 3:
				spec.Customer, spec.MayNameCustomers = rapid.SampledFrom(names).Draw(t, "customer"), false
			}
			if rapid.Bool().Draw(t, "limited") {
				spec.Limits = limit
			}
			return spec
		}
		known := func(err error) {
			for _, ok := range []error{ErrInvalid, ErrInFile, ErrNoParty, ErrInUse, facts.ErrConflict} {
				if errors.Is(err, ok) {
					return
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				v, key, err := s.CreateKey(ctx, "eve", Order{KeySpec: spec(t)}, t0)
				if known(err); err == nil {
					texts, ids = append(texts, v.Reveal()), append(ids, key.ID)
				}
			},
			"import": func(t *rapid.T) {
				text := fmt.Sprint("sk-old-", len(texts))
				done, err := s.ImportKeys(ctx, "eve", []Imported{{KeySpec: spec(t), Hash: plainHash(text)}}, false, t0)
				if known(err); done[0].ID != "" {
					texts, ids = append(texts, text), append(ids, done[0].ID)
				}
			},
			"rotate": func(t *rapid.T) {
				if len(ids) > 0 {
					v, _, err := s.RotateKey(ctx, "eve", rapid.SampledFrom(ids).Draw(t, "id"), "", rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "grace"), t0)
					if known(err); err == nil {
						texts = append(texts, v.Reveal())
					}
				}
			},
			"update": func(t *rapid.T) {
				if len(ids) > 0 {
					_, err := s.UpdateKey(ctx, "eve", rapid.SampledFrom(ids).Draw(t, "id"), spec(t), time.Time{}, 0, t0)
					known(err)
				}
			},
			"revoke": func(t *rapid.T) {
				if len(ids) > 0 {
					_, err := s.RevokeKey(ctx, "eve", rapid.SampledFrom(ids).Draw(t, "id"), t0)
					known(err)
				}
			},
			"party": func(t *rapid.T) {
				level, name := party(t)
				c := PartyConfig{Disabled: rapid.Bool().Draw(t, "disabled")}
				if rapid.Bool().Draw(t, "limited") {
					c.Limits = limit
				}
				if level != account.Organisation && rapid.Bool().Draw(t, "below") {
					c.Organisation = rapid.SampledFrom(names).Draw(t, "organisation")
				}
				if level == account.Customer && c.Organisation == "" && rapid.Bool().Draw(t, "in a team") {
					c.Team = rapid.SampledFrom(names).Draw(t, "team")
				}
				var seen int64
				for _, p := range s.ListParties() {
					if p.Level == level && p.Name == name {
						seen = p.Revision
					}
				}
				_, err := s.PutParty(ctx, "eve", level, name, c, seen, t0)
				known(err)
			},
			"remove": func(t *rapid.T) {
				level, name := party(t)
				known(s.RemoveParty(ctx, "eve", level, name, 0, t0))
			},
			"behind its back": func(t *rapid.T) { // as two gateways do that have not heard of each other
				level, name := party(t)
				s.mu.Lock()
				doc, is := s.docs[ref{level, name}]
				s.mu.Unlock()
				if is {
					_, err := shared.Apply(ctx, "bob", t0, []facts.Change{{Kind: level.String(), Name: name, Seen: doc.revision}})
					known(errors.Join(err, s.CatchUp(ctx, t0)))
				}
			},
			"follow": func(t *rapid.T) { known(other.CatchUp(ctx, t0)) },
		})
		known(other.CatchUp(ctx, t0))
		fresh, built := open()
		known(fresh.CatchUp(ctx, t0))
		want := told(built, texts)
		if got := told(keys, texts); got != want {
			t.Fatalf("after changes\n%s\nbuilt\n%s", got, want)
		}
		if got := told(followed, texts); got != want {
			t.Fatalf("followed\n%s\nbuilt\n%s", got, want)
		}
	})
}

// told is everything that requests can find out.
func told(k *Keys, texts []string) string {
	var b strings.Builder
	d := k.dir.Load()
	whose := map[*account.Account]string{}
	for _, p := range d.parties {
		whose[p.Account] = fmt.Sprint(p, p.Config)
	}
	for key := range d.keys {
		whose[key.account] = fmt.Sprint(key.ID, key.Rules)
	}
	chain := func(list []*account.Account) {
		for _, a := range list {
			b.WriteString(whose[a] + " ")
		}
	}
	for i, text := range texts {
		fmt.Fprintf(&b, "%d %q", i, k.Why(text, t0))
		if key := k.Find(text, t0); key != nil {
			fmt.Fprintf(&b, " %s %s ", key.ID, key.Party())
			chain(key.Chain())
			for _, customer := range []string{"", "a", "b", "file", "nobody"} {
				p, how, no := k.Attribute(key, Claim{Customer: customer, From: "user"})
				fmt.Fprintf(&b, "[%s %s %v ", p, how, no)
				chain(key.AppendChain(nil, p))
				b.WriteString("] ")
			}
		}
		b.WriteString("\n")
	}
	for _, p := range d.parties.sorted() {
		fmt.Fprintf(&b, "%s below %s %q %v ", p, p.Parent, p.broken, p.Disabled)
		chain(p.chain)
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%d imported, %d texts\n", d.imported, d.index.len())
	return b.String()
}

// broken is a store of facts that cannot be read while it is down.
type broken struct {
	facts.Store
	down atomic.Bool
}

var errDown = errors.New("the database is down")

func (b *broken) Since(ctx context.Context, revision int64) ([]facts.Fact, int64, error) {
	if b.down.Load() {
		return nil, 0, errDown
	}
	return b.Store.Since(ctx, revision)
}

// TestAGatewayFollowsAndOutlivesItsDatabase: a change of another gateway is
// there within a second; while the database is down everything stays as it is,
// and is told to be old.
func TestAGatewayFollowsAndOutlivesItsDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := facts.NewMemory()
		link := &broken{Store: shared}
		one, two := newStore(Pepper{}, shared, nil), newStore(Pepper{}, link, nil)
		keys := inForce(t, Setting{}, two)
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = two.Follow(ctx) })
		made, _, err := one.CreateKey(ctx, "eve", Order{KeySpec: KeySpec{Name: "app"}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		text := made.Reveal()
		time.Sleep(followEvery + 1)
		synctest.Wait()
		if keys.Find(text, time.Now()) == nil || two.Stale().Err != nil || time.Since(two.Stale().Since) > followEvery {
			t.Errorf("after a second it is %q; %+v", keys.Why(text, time.Now()), two.Stale())
		}
		link.down.Store(true)
		if _, err := one.RevokeKey(ctx, "eve", "app", time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if keys.Find(text, time.Now()) == nil || !errors.Is(two.Stale().Err, errDown) || time.Since(two.Stale().Since) < 50*time.Second {
			t.Errorf("while the database is down it is %q; %+v", keys.Why(text, time.Now()), two.Stale())
		}
		link.down.Store(false)
		time.Sleep(followEvery + 1)
		synctest.Wait()
		if keys.Why(text, time.Now()) != LackRevoked || two.Stale().Err != nil {
			t.Errorf("when it is back it is %q; %+v", keys.Why(text, time.Now()), two.Stale())
		}
		cancel()
		done.Wait()
	})
}

// TestFactsFromABackup are what there is, though they are older.
func TestFactsFromABackup(t *testing.T) {
	link := &broken{Store: facts.NewMemory()}
	s := newStore(Pepper{}, link, nil)
	keys := inForce(t, Setting{}, s)
	old, _ := create(t, s, Order{KeySpec: KeySpec{Name: "old"}})
	list, _, err := link.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	young, _ := create(t, s, Order{KeySpec: KeySpec{Name: "young"}})
	here, _ := create(t, s, Order{KeySpec: KeySpec{Name: "here"}, Ephemeral: true})
	link.Store = facts.NewMemory()
	if _, err := link.Apply(t.Context(), "eve", t0, []facts.Change{{Kind: list[0].Kind, Name: list[0].Name, Body: list[0].Body}}); err != nil {
		t.Fatal(err)
	}
	if err := s.CatchUp(t.Context(), t0); err != nil {
		t.Fatal(err)
	}
	if keys.Find(old, t0) == nil || keys.Find(young, t0) != nil || keys.Find(here, t0) == nil {
		t.Errorf("old %q, young %q, of this process %q", keys.Why(old, t0), keys.Why(young, t0), keys.Why(here, t0))
	}
}

// TestTwoGatewaysShareADatabase of the real kind: keys of one open at the other,
// and of two who change one key at once one is refused.
func TestTwoGatewaysShareADatabase(t *testing.T) {
	dsn := os.Getenv("TAILPLANE_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("TAILPLANE_TEST_POSTGRES names no database")
	}
	admin, err := pg.Open(t.Context(), dsn, pg.Options{Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	name := "policy_" + strings.ToLower(rand.Text())
	if _, err := admin.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = admin.Exec(t.Context(), "DROP DATABASE "+name+" WITH (FORCE)") }()
	config := admin.Config()
	address := fmt.Sprintf("host=%s port=%d user=%s password='%s' dbname=%s sslmode=disable", config.ConnConfig.Host, config.ConnConfig.Port, config.ConnConfig.User, config.ConnConfig.Password, name)
	open := func() (*Store, *Keys) {
		pool, err := pg.Open(t.Context(), address, pg.Options{Connections: 4})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		kept, err := facts.OpenPostgres(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		s := newStore(NewPepper([32]byte{1}), kept, nil)
		if err := errors.Join(s.CatchUp(t.Context(), t0), s.agree(t.Context(), t0)); err != nil {
			t.Fatal(err)
		}
		return s, inForce(t, Setting{}, s)
	}
	one, _ := open()
	two, keys := open()
	text, made := create(t, one, Order{KeySpec: KeySpec{Name: "app"}})
	if err := two.CatchUp(t.Context(), t0); err != nil || keys.Find(text, t0) == nil {
		t.Fatalf("%q, %v", keys.Why(text, t0), err)
	}
	var refused atomic.Int64
	var wg sync.WaitGroup
	for _, s := range []*Store{one, two} {
		wg.Go(func() {
			_, err := s.UpdateKey(t.Context(), "eve", made.ID, KeySpec{Name: "renamed"}, time.Time{}, made.Revision, t0)
			if errors.Is(err, facts.ErrConflict) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if refused.Load() != 1 {
		t.Errorf("%d changes of two are refused", refused.Load())
	}
	if r, err := facts.VerifyAudit(t.Context(), one.facts); err != nil || !r.OK() {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestRequestsDoNotWaitForChanges and see each at once.
func TestRequestsDoNotWaitForChanges(t *testing.T) {
	s := openStore(t, "")
	keys := inForce(t, Setting{Keys: Config{UnknownCustomer: Quarantine}}, s)
	put(t, s, account.Team, "red", PartyConfig{})
	text, made := create(t, s, Order{KeySpec: KeySpec{Name: "app", Team: "red", MayNameCustomers: true}})
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				key := keys.Find(text, t0)
				if key == nil {
					t.Error("the key is gone for a moment")
					return
				}
				if p, _, no := keys.Attribute(key, Claim{Customer: "nobody"}); no != nil || p == nil {
					t.Errorf("%v, %v", p, no)
					return
				}
			}
		})
	}
	for i := range 200 {
		other, _ := create(t, s, Order{KeySpec: KeySpec{Name: fmt.Sprint("k", i)}})
		if keys.Find(other, t0) == nil {
			t.Fatal("a new key does not open at once")
		}
		parties := s.ListParties()
		red := parties[slices.IndexFunc(parties, func(p *Party) bool { return p.Name == "red" })]
		if _, err := s.PutParty(t.Context(), "eve", account.Team, "red", PartyConfig{Models: []string{fmt.Sprint("m", i)}}, red.Revision, t0); err != nil {
			t.Fatal(err)
		}
		if keys.Named(made.ID).MayCall("x") || !keys.Find(text, t0).MayCall(fmt.Sprint("m", i)) {
			t.Fatal("a changed team is not its keys' at once")
		}
	}
	stop.Store(true)
	wg.Wait()
}

// TestOnlyTheWholeHashOpens: not its beginning, by which it is found, and not one
// that was imported for a text that is hashed otherwise.
func TestOnlyTheWholeHashOpens(t *testing.T) {
	s := openStore(t, "")
	keys := inForce(t, Setting{}, s)
	const own, old = "sk-tp-any", "sk-any"
	near := s.hash(own, FormHMAC)
	near[31] ^= 1
	list := []Imported{
		{KeySpec: KeySpec{Name: "the other form"}, Hash: s.hash(old, FormHMAC)},
		{KeySpec: KeySpec{Name: "a common beginning"}, Hash: near},
	}
	near = plainHash(old)
	near[31] ^= 1
	list = append(list, Imported{KeySpec: KeySpec{Name: "another beginning"}, Hash: near})
	done, err := s.ImportKeys(t.Context(), "mallory", list, false, t0)
	if err != nil || s.Len() != 3 {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, text := range []string{own, old} {
		if key := keys.Find(text, t0); key != nil {
			t.Errorf("%s opens the key with %s", text, key.Name)
		}
	}
}

func TestAnOldFactDoesNotComeBack(t *testing.T) {
	s := openStore(t, "")
	keys := inForce(t, Setting{}, s)
	text, _ := create(t, s, Order{KeySpec: KeySpec{Name: "app"}})
	put(t, s, account.Customer, "acme", PartyConfig{})
	old, _, err := s.facts.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeKey(t.Context(), "eve", "app", t0); err != nil {
		t.Fatal(err)
	}
	acme := keys.Customer("acme")
	if _, err := s.PutParty(t.Context(), "eve", account.Customer, "acme", PartyConfig{Disabled: true}, acme.Revision, t0); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.fold(old, t0)
	s.mu.Unlock()
	if keys.Why(text, t0) != LackRevoked || !keys.Customer("acme").Disabled {
		t.Errorf("%q, %+v", keys.Why(text, t0), keys.Customer("acme"))
	}
}

// TestAChangeReachesEverythingBelow: an organisation's limits two levels down, a
// customer's at a static key, and those of quarantine in every team.
func TestAChangeReachesEverythingBelow(t *testing.T) {
	t.Setenv("POLICY_TEST_KEY", "any text of the operator")
	s := openStore(t, "")
	keys := inForce(t, Setting{Keys: Config{
		UnknownCustomer: Quarantine, Static: []Static{{Name: "ci", Key: secret.Env("POLICY_TEST_KEY"), Customer: "acme"}},
	}}, s)
	if p := keys.Find("any text of the operator", t0).Party(); p == nil || p.Name != "acme" || len(p.Chain()) != 0 {
		t.Fatalf("%+v", p)
	}
	put(t, s, account.Organisation, "corp", PartyConfig{})
	put(t, s, account.Team, "red", PartyConfig{Organisation: "corp"})
	put(t, s, account.Customer, "acme", PartyConfig{Team: "red"})
	put(t, s, account.Customer, "globex", PartyConfig{Team: "red"})
	text, _ := create(t, s, Order{KeySpec: KeySpec{Name: "app", Team: "red", MayNameCustomers: true}})
	for i := range 20 {
		corp := s.ListParties()[0]
		corp, err := s.PutParty(t.Context(), "eve", account.Organisation, "corp", PartyConfig{Limits: limits(fmt.Sprint(i+1, "/s"))}, corp.Revision, t0)
		if err != nil {
			t.Fatal(err)
		}
		p := keys.Customer("acme")
		for _, at := range []*Party{p, p.Parent, keys.Customer("globex"), keys.Find("any text of the operator", t0).Party(), keys.Find(text, t0).Party()} {
			if len(at.Chain()) != 1 || at.Chain()[0] != corp.Account {
				t.Fatalf("change %d does not reach %s", i, at)
			}
		}
	}
	put(t, s, account.Customer, Quarantine, PartyConfig{Limits: limits("1/s")})
	key := keys.Find(text, t0)
	p, how, no := keys.Attribute(key, Claim{Customer: "nobody"})
	if no != nil || how != ByQuarantine || len(key.AppendChain(nil, p)) != 2 {
		t.Errorf("%v, %s, %v", p.Chain(), how, no)
	}
}

// TestFactsThatNoVersionMade are told, harm nobody and open nothing.
func TestFactsThatNoVersionMade(t *testing.T) {
	s := openStore(t, "")
	keys := inForce(t, Setting{Keys: Config{UnknownCustomer: Quarantine}}, s)
	text, _ := create(t, s, Order{KeySpec: KeySpec{Name: "app", MayNameCustomers: true}})
	var list []facts.Change
	for _, c := range [][3]string{
		{facts.KindOrganisation, "self", `{"organisation":"self"}`},
		{facts.KindTeam, "self", `{"team":"self"}`},
		{facts.KindCustomer, "lost", `{"team":"gone"}`},
		{facts.KindCustomer, "odd", `{"team":7}`},
		{facts.KindKey, "odd", `{"secrets":[{"hash":"zz"}]}`},
		{facts.KindKey, "none", `{"name":"x"}`},
		{"something new", "x", `{}`},
	} {
		list = append(list, facts.Change{Kind: c[0], Name: c[1], Body: []byte(c[2])})
	}
	if _, err := s.facts.Apply(t.Context(), "eve", t0, list); err != nil {
		t.Fatal(err)
	}
	if err := s.CatchUp(t.Context(), t0); err != nil {
		t.Fatal(err)
	}
	if problems := s.Problems(); len(problems) != 6 {
		t.Errorf("%d problems: %q", len(problems), problems)
	}
	key := keys.Find(text, t0)
	for _, name := range []string{"lost", "odd"} {
		if p, how, no := keys.Attribute(key, Claim{Customer: name}); no != nil || how != ByQuarantine {
			t.Errorf("%s: %v, %s, %v", name, p, how, no)
		}
	}
}

// TestLiveStateLastsAsLongAsItsRules: it is the same through changes and settings
// that do not concern it, and ends with the last rule, the party or the key.
func TestLiveStateLastsAsLongAsItsRules(t *testing.T) {
	s := openStore(t, "")
	setting := Setting{Organisations: map[string]PartyConfig{"corp": {Limits: limits("9/s")}}}
	keys := inForce(t, setting, s)
	spec := KeySpec{Name: "app", Organisation: "corp", Rules: account.Rules{Limits: limits("1/s")}}
	text, made := create(t, s, Order{KeySpec: spec})
	ephemeral, _ := create(t, s, Order{KeySpec: KeySpec{Name: "try", Rules: spec.Rules}, Ephemeral: true, Lifetime: time.Minute})
	chain := func(text string) []*account.Account { return keys.Find(text, t0).Chain() }
	before, short := slices.Clone(chain(text)), chain(ephemeral)[0]
	if len(before) != 2 {
		t.Fatal(before)
	}
	update := func(spec KeySpec) {
		t.Helper()
		if _, err := s.UpdateKey(t.Context(), "eve", made.ID, spec, time.Time{}, 0, t0); err != nil {
			t.Fatal(err)
		}
	}
	other := spec
	other.Limits = limits("2/s")
	update(other)
	put(t, s, account.Customer, "acme", PartyConfig{Limits: limits("5/s"), Organisation: "corp"})
	if _, _, err := s.RotateKey(t.Context(), "eve", made.ID, "", time.Hour, t0); err != nil {
		t.Fatal(err)
	}
	keys = inForce(t, setting, s)
	if got := chain(text); !slices.Equal(got, before) || chain(ephemeral)[0] != short {
		t.Error("live state is lost by what does not concern it")
	}
	other.Rules = account.Rules{}
	update(other)
	if got := chain(text); len(got) != 1 || got[0] != before[0] {
		t.Errorf("%d accounts of a key without limits", len(got))
	}
	update(spec)
	if got := chain(text); len(got) != 2 || got[1] == before[1] {
		t.Error("live state outlives its rules")
	}
	acme := keys.Customer("acme")
	if err := s.RemoveParty(t.Context(), "eve", account.Customer, "acme", 0, t0); err != nil {
		t.Fatal(err)
	}
	put(t, s, account.Customer, "acme", PartyConfig{Limits: limits("5/s"), Organisation: "corp"})
	if keys.Customer("acme").Account == acme.Account {
		t.Error("live state outlives its party")
	}
	keys = inForce(t, Setting{Organisations: map[string]PartyConfig{"corp": {}}}, s)
	keys = inForce(t, setting, s)
	if chain(text)[0] == before[0] {
		t.Error("live state outlives the setting")
	}
}
