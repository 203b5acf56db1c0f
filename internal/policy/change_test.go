package policy

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/facts"
	"tailplane/internal/secret"
)

// rules are limits and budgets as a config says them.
func rules(t *testing.T, text string) account.Rules {
	t.Helper()
	var r account.Rules
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func put(t *testing.T, s *Store, level account.Level, name string, c PartyConfig) {
	t.Helper()
	if _, err := s.PutParty(t.Context(), "eve", level, name, c, 0, t0); err != nil {
		t.Fatal(err)
	}
}

func TestRotationKeepsTheKeyAndEndsItsOldTexts(t *testing.T) {
	s := openStore(t, t.TempDir())
	keys := inForce(t, Setting{}, s)
	first, made := create(t, s, Order{KeySpec: KeySpec{Name: "app"}})
	oldPair, _, err := keys.PairOf("app", t0)
	if err != nil {
		t.Fatal(err)
	}
	v, rotated, err := s.RotateKey(t.Context(), "eve", "app", "new", time.Hour, t0)
	if err != nil {
		t.Fatal(err)
	}
	second := v.Reveal()
	if rotated.ID != made.ID || !WellFormed(second) || !strings.HasPrefix(second, "sk-tp-new-") {
		t.Errorf("%+v", rotated)
	}
	newPair, _, err := keys.PairOf("app", t0)
	if err != nil || newPair.ID == oldPair.ID {
		t.Errorf("the pair of a rotated key: %v, %v", newPair.ID, err)
	}
	for _, c := range []struct {
		text, pair string
		at         time.Duration
		why        Lack
	}{
		{first, oldPair.ID, 0, ""},
		{first, oldPair.ID, time.Hour - 1, ""},
		{first, oldPair.ID, time.Hour, LackReplaced},
		{second, newPair.ID, 0, ""},
		{second, newPair.ID, 24 * time.Hour, ""},
		{second, newPair.ID, 366 * 24 * time.Hour, LackExpired},
	} {
		at := t0.Add(c.at)
		found, why := keys.Find(c.text, at), keys.Why(c.text, at)
		if (found == nil) != (c.why != "") || why != c.why || found != nil && found.ID != made.ID {
			t.Errorf("after %v: %+v, %q, want %q", c.at, found, why, c.why)
		}
		if paired, _ := keys.FindPair(c.pair, at); (paired == nil) != (c.why != "") {
			t.Errorf("after %v its pair is %+v", c.at, paired)
		}
	}
	if _, _, err := s.RotateKey(t.Context(), "eve", made.ID, "", 0, t0); err != nil {
		t.Fatal(err)
	}
	if keys.Find(first, t0) != nil || keys.Find(second, t0) != nil {
		t.Error("without a grace an old text opens the key")
	}
	for range 20 {
		if _, _, err := s.RotateKey(t.Context(), "eve", made.ID, "", time.Hour, t0); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(keys.Named("app").Secrets); n != mostSecrets {
		t.Errorf("%d texts are kept, want %d", n, mostSecrets)
	}
}

func TestARevokedKeyIsToldSo(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	keys := inForce(t, Setting{}, s)
	text, made := create(t, s, Order{KeySpec: KeySpec{Name: "app"}})
	if _, err := s.RevokeKey(t.Context(), "eve", "app", t0); err != nil {
		t.Fatal(err)
	}
	again := inForce(t, Setting{}, openStore(t, dir))
	for _, k := range []*Keys{keys, again} {
		if k.Find(text, t0) != nil || k.Why(text, t0) != LackRevoked {
			t.Errorf("it is %q", k.Why(text, t0))
		}
		if _, _, err := k.PairOf("app", t0); !errors.Is(err, ErrNoKey) {
			t.Errorf("its pair: %v", err)
		}
	}
	if _, _, err := s.RotateKey(t.Context(), "eve", made.ID, "", 0, t0); !errors.Is(err, ErrInvalid) {
		t.Errorf("a revoked key gets a text: %v", err)
	}
	trail, err := s.facts.Audit(t.Context(), facts.AuditQuery{Kind: facts.KindKey})
	if err != nil || len(trail) != 2 || trail[0].Actor != "eve" || strings.Contains(string(trail[0].After), "hash\":\"0") {
		t.Errorf("%+v, %v", trail, err)
	}
	hash := string(must(made.Secrets[0].Hash.MarshalText()))
	for _, a := range trail {
		if strings.Contains(string(a.Before)+string(a.After), hash) {
			t.Error("the trail holds a hash")
		}
	}
	if raw, err := json.Marshal(s.ListKeys()); err != nil || strings.Contains(string(raw), hash) || !strings.Contains(string(raw), made.ID) {
		t.Errorf("a listed key: %s, %v", raw, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestUpdateChangesWhatAKeyMay(t *testing.T) {
	s := openStore(t, "")
	keys := inForce(t, Setting{}, s)
	text, made := create(t, s, Order{KeySpec: KeySpec{Name: "app"}, Lifetime: Never})
	spec := KeySpec{Name: "renamed", Models: []string{"gpt-*"}, Rules: rules(t, `{"limits":{"requests":"5/s"}}`)}
	changed, err := s.UpdateKey(t.Context(), "eve", made.ID, spec, t0.Add(time.Hour), made.Revision, t0)
	if err != nil || changed.Revision <= made.Revision {
		t.Fatalf("%+v, %v", changed, err)
	}
	got := keys.Find(text, t0)
	if got == nil || got.ID != made.ID || got.Name != "renamed" || got.MayCall("claude") || !got.MayCall("gpt-5") || !got.Narrow() || len(got.Chain()) != 1 {
		t.Errorf("%+v", got)
	}
	if keys.Why(text, t0.Add(time.Hour)) != LackExpired {
		t.Error("its new end is not kept")
	}
	if _, err := s.UpdateKey(t.Context(), "eve", made.ID, spec, time.Time{}, made.Revision, t0); !errors.Is(err, facts.ErrConflict) {
		t.Errorf("upon an old revision: %v", err)
	}
}

func TestOrdersThatAreWrongAreRefusedInWords(t *testing.T) {
	t.Setenv("POLICY_TEST_KEY", "any text of the operator")
	s := openStore(t, "")
	inForce(t, Setting{
		Keys:  Config{Static: []Static{{Name: "ci", Key: secret.Env("POLICY_TEST_KEY")}}},
		Teams: map[string]PartyConfig{"red": {}},
	}, s)
	put(t, s, account.Customer, "acme", PartyConfig{Team: "red"})
	put(t, s, account.Customer, "globex", PartyConfig{})
	create(t, s, Order{KeySpec: KeySpec{Name: "app", Customer: "acme"}})
	create(t, s, Order{KeySpec: KeySpec{Name: "two"}})
	create(t, s, Order{KeySpec: KeySpec{Name: "two"}})
	key := func(o Order) func() error {
		return func() error { _, _, err := s.CreateKey(t.Context(), "eve", o, t0); return err }
	}
	party := func(level account.Level, name string, c PartyConfig) func() error {
		return func() error { _, err := s.PutParty(t.Context(), "eve", level, name, c, 0, t0); return err }
	}
	remove := func(level account.Level, name string) func() error {
		return func() error { return s.RemoveParty(t.Context(), "eve", level, name, 0, t0) }
	}
	rotate := func(name string, grace time.Duration) func() error {
		return func() error { _, _, err := s.RotateKey(t.Context(), "eve", name, "", grace, t0); return err }
	}
	for name, c := range map[string]struct {
		do   func() error
		is   error
		says string
	}{
		"no name":                {key(Order{}), ErrInvalid, "name"},
		"a label with a dash":    {key(Order{KeySpec: KeySpec{Name: "x"}, Label: "a-b"}), ErrInvalid, "label"},
		"a long life":            {key(Order{KeySpec: KeySpec{Name: "x"}, Lifetime: longestLifetime + 1}), ErrInvalid, "ten years"},
		"a negative life":        {key(Order{KeySpec: KeySpec{Name: "x"}, Lifetime: -2}), ErrInvalid, "ten years"},
		"a bad pattern":          {key(Order{KeySpec: KeySpec{Name: "x", Models: []string{"["}}}), ErrInvalid, "models[0]"},
		"a surface that is none": {key(Order{KeySpec: KeySpec{Name: "x", Surfaces: []string{"embedd"}}}), ErrInvalid, `"embed"`},
		"a customer that is not": {key(Order{KeySpec: KeySpec{Name: "x", Customer: "nobody"}}), ErrInvalid, `no customer "nobody"`},
		"another team's":         {key(Order{KeySpec: KeySpec{Name: "x", Team: "red", Customer: "globex"}}), ErrInvalid, "not within"},
		"a right of no use":      {key(Order{KeySpec: KeySpec{Name: "x", Customer: "acme", MayNameCustomers: true}}), ErrInvalid, "may_name_customers"},
		"a party of the file":    {party(account.Team, "red", PartyConfig{}), ErrInFile, "config file"},
		"a party of nothing":     {party(account.Customer, "x", PartyConfig{Team: "rad"}), ErrInvalid, `"red"`},
		"a team in a team":       {party(account.Team, "x", PartyConfig{Team: "red"}), ErrInvalid, "only a customer"},
		"a party's name":         {party(account.Customer, "a b", PartyConfig{}), ErrInvalid, "spaces"},
		"a party that is there":  {party(account.Customer, "acme", PartyConfig{}), facts.ErrConflict, "there already"},
		"a model is no party":    {party(account.Model, "x", PartyConfig{}), ErrInvalid, "a party is"},
		"removing the file's":    {remove(account.Team, "red"), ErrInFile, "config file"},
		"removing nothing":       {remove(account.Team, "blue"), ErrNoParty, "blue"},
		"removing what is used":  {remove(account.Customer, "acme"), ErrInUse, "key "},
		"rotating the file's":    {rotate("ci", 0), ErrInFile, "config file"},
		"rotating nobody's":      {rotate("nobody", 0), ErrNoKey, "no key"},
		"rotating one of two":    {rotate("two", 0), ErrSeveral, "by its id"},
		"a long grace":           {rotate("app", longestGrace+1), ErrInvalid, "90 days"},
	} {
		if err := c.do(); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if err := remove(account.Customer, "globex")(); err != nil {
		t.Errorf("what nobody uses: %v", err)
	}
	if _, err := s.RevokeKey(t.Context(), "eve", "app", t0); err != nil {
		t.Fatal(err)
	}
	if err := remove(account.Customer, "acme")(); err != nil {
		t.Errorf("what a revoked key used: %v", err)
	}
}

// TestAChangedPartyIsItsKeys: limits, models and a switch reach the keys below,
// and a party that is gone leaves keys that open nothing.
func TestAChangedPartyIsItsKeys(t *testing.T) {
	s := openStore(t, "")
	keys := inForce(t, Setting{Organisations: map[string]PartyConfig{"corp": {Limits: rules(t, `{"limits":{"requests":"100/s"}}`).Limits}}}, s)
	put(t, s, account.Team, "red", PartyConfig{Organisation: "corp"})
	put(t, s, account.Customer, "acme", PartyConfig{Team: "red"})
	text, _ := create(t, s, Order{KeySpec: KeySpec{Name: "app", Customer: "acme", Rules: rules(t, `{"limits":{"requests":"1/s"}}`)}})
	chain := func() string {
		var names []string
		for _, a := range keys.Find(text, t0).Chain() {
			for _, p := range s.ListParties() {
				if p.Account == a {
					names = append(names, p.Name)
				}
			}
		}
		return strings.Join(names, " ")
	}
	if key := keys.Find(text, t0); chain() != "corp" || len(key.Chain()) != 2 {
		t.Errorf("%q, %d accounts", chain(), len(key.Chain()))
	}
	team := keys.Find(text, t0).Party().Parent
	if _, err := s.PutParty(t.Context(), "eve", account.Team, "red", PartyConfig{
		Organisation: "corp", Models: []string{"gpt-*"}, Limits: rules(t, `{"limits":{"requests":"9/s"}}`).Limits,
	}, team.Revision, t0); err != nil {
		t.Fatal(err)
	}
	key := keys.Find(text, t0)
	if chain() != "corp red" || len(key.Chain()) != 3 || key.MayCall("claude") || !key.MayCall("gpt-5") || !key.Narrow() {
		t.Errorf("%q, %d accounts, %+v", chain(), len(key.Chain()), key.Party().Parent)
	}
	if o, tm, c := key.Party().Names(); o != "corp" || tm != "red" || c != "acme" {
		t.Errorf("it is %s, %s, %s", o, tm, c)
	}
	if got := key.AppendChain(nil, key.Party()); !slices.Equal(got, key.Chain()) {
		t.Errorf("%v, want %v", got, key.Chain())
	}
	// Another gateway, which has not seen the key, removes the customer.
	if _, err := s.facts.Apply(t.Context(), "bob", t0, []facts.Change{{Kind: facts.KindCustomer, Name: "acme", Seen: key.Party().Revision}}); err != nil {
		t.Fatal(err)
	}
	if err := s.CatchUp(t.Context(), t0); err != nil {
		t.Fatal(err)
	}
	if keys.Find(text, t0) != nil || keys.Why(text, t0) != LackBroken {
		t.Errorf("a key of nobody: %q", keys.Why(text, t0))
	}
	if list := s.Problems(); len(list) != 1 || !strings.Contains(list[0], `no customer "acme"`) {
		t.Errorf("problems %q", list)
	}
}

// TestTheFileWins: over a fact of the same name, which is told, and which counts
// again when the file lets go of it.
func TestTheFileWins(t *testing.T) {
	s := openStore(t, "")
	inForce(t, Setting{}, s)
	put(t, s, account.Customer, "acme", PartyConfig{Models: []string{"fact"}})
	text, _ := create(t, s, Order{KeySpec: KeySpec{Name: "app", Customer: "acme"}})
	keys := inForce(t, Setting{Customers: map[string]PartyConfig{"acme": {Models: []string{"file"}}}}, s)
	if key := keys.Find(text, t0); !key.MayCall("file") || key.MayCall("fact") || !key.Party().File {
		t.Errorf("%+v", key.Party())
	}
	if list := s.Problems(); len(list) != 1 || !strings.Contains(list[0], "the file's counts") {
		t.Errorf("problems %q", list)
	}
	keys = inForce(t, Setting{}, s)
	if key := keys.Find(text, t0); !key.MayCall("fact") || len(s.Problems()) != 0 {
		t.Errorf("%+v, %q", key.Party(), s.Problems())
	}
}

func TestEphemeralKeysEndWithTheProcess(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	keys := inForce(t, Setting{}, s)
	text, made := create(t, s, Order{KeySpec: KeySpec{Name: "try"}, Ephemeral: true, Lifetime: time.Minute})
	if keys.Find(text, t0) == nil || !made.Ephemeral {
		t.Fatal("it opens nothing")
	}
	if _, err := s.RevokeKey(t.Context(), "eve", "try", t0); err != nil || keys.Why(text, t0) != LackRevoked {
		t.Errorf("revoked: %q, %v", keys.Why(text, t0), err)
	}
	if other := inForce(t, Setting{}, openStore(t, dir)); other.Find(text, t0) != nil {
		t.Error("it outlives the process")
	}
	if _, _, err := s.CreateKey(t.Context(), "eve", Order{KeySpec: KeySpec{Name: "next"}, Ephemeral: true}, t0.Add(time.Hour)); err != nil || s.Len() != 1 {
		t.Errorf("%d keys, %v: one that is over is kept", s.Len(), err)
	}
}

// TestKeysOfAnEarlierVersionAreTakenOver: once, whenever it is interrupted.
func TestKeysOfAnEarlierVersionAreTakenOver(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	h, _ := s.pepper.Hash("sk-tp-old")
	text := `[{"id":"0a0b0c0d","name":"old","customer":"acme","models":["gpt-*"],"created":"2026-01-02T03:04:05Z","hash":"` + string(must(h.MarshalText())) + `"}]`
	for range 2 { // the second time as after a crash before the file was renamed
		if err := os.WriteFile(filepath.Join(dir, keysFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys := inForce(t, Setting{}, openStore(t, dir))
		key := keys.Find("sk-tp-old", t0)
		if key == nil || key.ID != "0a0b0c0d" || key.Party() == nil || key.Party().Name != "acme" || key.MayCall("claude") || key.Created.Year() != 2026 {
			t.Fatalf("%+v", key)
		}
		if n := keys.store.Len(); n != 1 {
			t.Errorf("%d keys", n)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, keysFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the file is still there")
	}
	if _, err := os.Stat(filepath.Join(dir, takenOver)); err != nil {
		t.Error(err)
	}
}

func TestGatewaysThatShareFactsShareThePepper(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	shared := facts.NewMemory()
	open := func(dir string, pepper string) (*Store, error) {
		o := Options{Dir: dir, Facts: shared}
		if pepper != "" {
			o.Pepper = must(secret.Parse(pepper))
		}
		return OpenStore(t.Context(), o, t0)
	}
	s, err := open(first, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(second, ""); err == nil || !strings.Contains(err.Error(), "keys.pepper") {
		t.Errorf("another pepper: %v", err)
	}
	other, err := open(second, "file:"+filepath.Join(first, pepperFile))
	if err != nil {
		t.Fatal(err)
	}
	keys := inForce(t, Setting{}, other)
	text, _ := create(t, s, Order{KeySpec: KeySpec{Name: "app"}})
	if keys.Find(text, t0) != nil {
		t.Error("it is known before it can be")
	}
	if err := other.CatchUp(t.Context(), t0); err != nil || keys.Find(text, t0) == nil {
		t.Errorf("what another gateway made: %v, %q", err, keys.Why(text, t0))
	}
	t.Setenv("POLICY_TEST_PEPPER", "short")
	if _, err := open(second, "env:POLICY_TEST_PEPPER"); err == nil || !strings.Contains(err.Error(), "fewer than") {
		t.Errorf("a short pepper: %v", err)
	}
}
