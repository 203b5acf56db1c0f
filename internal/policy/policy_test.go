package policy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/account"
	"tailplane/internal/facts"
	"tailplane/internal/secret"
)

var t0 = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

func TestHashIsHMACSHA256(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var key [32]byte
		copy(key[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		text := rapid.StringN(1, 100, longestToken).Draw(t, "text")
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte(text))
		p := NewPepper(key)
		got, ok := p.Hash(text)
		if !ok || hex.EncodeToString(got[:]) != hex.EncodeToString(mac.Sum(nil)) {
			t.Fatalf("hash of %q differs from crypto/hmac", text)
		}
		h := newHasher(p)
		if h.hash("another"); h.hash(text) != got {
			t.Fatalf("on the way of a request the hash of %q is another one", text)
		}
	})
}

func TestTokensAreWellFormedAndTyposAreNot(t *testing.T) {
	for _, label := range []string{"", "dev"} {
		v, err := NewToken(rand.Reader, label)
		if err != nil {
			t.Fatal(err)
		}
		text := v.Reveal()
		if !WellFormed(text) || !strings.HasPrefix(text, "sk-tp-") {
			t.Errorf("%d characters, not well formed", len(text))
		}
		for i := range text {
			typo := []byte(text)
			typo[i] ^= 1
			if WellFormed(string(typo)) {
				t.Errorf("a typo at %d goes unnoticed", i)
			}
		}
	}
	for _, text := range []string{"", "sk-tp-", "sk-proj-abc"} {
		if WellFormed(text) {
			t.Errorf("%q is taken for a key", text)
		}
	}
}

// openStore opens the store of a state directory; it is closed with the test.
func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	o := Options{Dir: dir, Accounts: account.New(account.Options{})}
	if dir != "" {
		kept, err := facts.OpenSQLite(t.Context(), filepath.Join(dir, "facts.db"))
		if err != nil {
			t.Fatal(err)
		}
		o.Facts = kept
	}
	s, err := OpenStore(t.Context(), o, t0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// inForce puts a setting into force.
func inForce(t *testing.T, c Setting, s *Store) *Keys {
	t.Helper()
	keys, err := NewKeys(c, s)
	if err != nil {
		t.Fatal(err)
	}
	keys.Use(t0)
	return keys
}

func create(t *testing.T, s *Store, o Order) (text string, key *Key) {
	t.Helper()
	v, key, err := s.CreateKey(t.Context(), "eve", o, t0)
	if err != nil {
		t.Fatal(err)
	}
	return v.Reveal(), key
}

func TestKeysSurviveARestartAndTheirTextDoesNot(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir)
	text, made := create(t, store, Order{KeySpec: KeySpec{Name: "first", Models: []string{"sim/*"}}, Label: "dev"})
	create(t, store, Order{KeySpec: KeySpec{Name: "try"}, Lifetime: time.Minute, Ephemeral: true})
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), text) {
			t.Errorf("%s holds the key's text", f)
		}
		if st, _ := os.Stat(f); st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", f, st.Mode().Perm())
		}
	}
	again := openStore(t, dir)
	keys := inForce(t, Setting{}, again)
	got := keys.Find(text, t0)
	if got == nil || got.ID != made.ID || again.Len() != 1 {
		t.Fatalf("after a restart: %+v, %d keys", got, again.Len())
	}
	if !got.MayCall("sim/fast") || got.MayCall("gpt-5") {
		t.Error("the key's models are not kept")
	}
}

func TestFind(t *testing.T) {
	t.Setenv("POLICY_TEST_KEY", "any text of the operator")
	store := openStore(t, "")
	short, _ := create(t, store, Order{KeySpec: KeySpec{Name: "short"}, Lifetime: time.Minute})
	static := []Static{{Name: "ci", Key: secret.Env("POLICY_TEST_KEY"), Customer: "acme"}}
	closed := inForce(t, Setting{Keys: Config{Static: static}}, store)
	open := inForce(t, Setting{Keys: Config{Static: static, Required: new(false)}}, store)
	cases := []struct {
		name string
		keys *Keys
		text string
		at   time.Time
		want string
		why  Lack
	}{
		{"static", closed, "any text of the operator", t0, "ci", ""},
		{"stored", closed, short, t0, "short", ""},
		{"expired", closed, short, t0.Add(time.Hour), "", LackExpired},
		{"wrong", closed, "sk-tp-wrong", t0, "", LackDamaged},
		{"whole and unknown", closed, "sk-tp-" + strings.Repeat("0", secretDigits) + checksum("sk-tp-"+strings.Repeat("0", secretDigits)), t0, "", LackUnknown},
		{"truncated", closed, short[:len(short)-1], t0, "", LackDamaged},
		{"another's", closed, "sk-proj-abc", t0, "", LackForeign},
		{"none", closed, "", t0, "", LackNone},
		{"huge", closed, strings.Repeat("x", 1<<20), t0, "", LackForeign},
		{"none where none is required", open, "", t0, "anonymous", LackNone},
		{"known where none is required", open, "any text of the operator", t0, "ci", ""},
		{"wrong where none is required", open, "whatever an SDK insists on", t0, "anonymous", LackForeign},
	}
	for _, c := range cases {
		got := ""
		if k := c.keys.Find(c.text, c.at); k != nil {
			got = k.Name
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if why := c.keys.Why(c.text, c.at); why != c.why {
			t.Errorf("%s: it lacks %q, want %q", c.name, why, c.why)
		}
	}
	for _, name := range []string{"ci", "static-ci", "short"} {
		if closed.Named(name) == nil {
			t.Errorf("no key is named %q", name)
		}
	}
	if closed.Named("nobody") != nil {
		t.Error("a key is found under a name that none has")
	}
	if n := testing.AllocsPerRun(100, func() { closed.Find("sk-tp-wrong", t0); closed.Find(short, t0) }); n != 0 && !raceDetector { // which drops what is pooled
		t.Errorf("Find makes %v allocations", n)
	}
}

func TestADamagedKeyFileIsRefusedInWords(t *testing.T) {
	for _, text := range []string{`[{"id":"a","hash":"zz"}]`, `[{"id":"a"}]`, `{`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, keysFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenStore(t.Context(), Options{Dir: dir}, t0); err == nil || !strings.Contains(err.Error(), keysFile) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	c := Setting{Keys: Config{Static: []Static{{Key: secret.Env("A")}, {Name: "a", Models: []string{"["}}, {Name: "a", Key: secret.Env("B")}}}}
	var got []string
	c.Validate(func(at, wrong, right string) { got = append(got, at) })
	want := "keys.static[0] keys.static[1] keys.static[1].models[0] keys.static[2].name"
	if strings.Join(got, " ") != want {
		t.Errorf("problems at %q, want %q", got, want)
	}
}
