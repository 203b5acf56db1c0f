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

func TestKeysSurviveARestartAndTheirTextDoesNot(t *testing.T) {
	dir := t.TempDir()
	store, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, made, err := store.Create(Key{Name: "first", Models: []string{"sim/*"}}, "dev", 0, t0, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Create(Key{Name: "try"}, "", time.Minute, t0, true); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), text.Reveal()) {
			t.Errorf("%s holds the key's text", f)
		}
		if st, _ := os.Stat(f); st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", f, st.Mode().Perm())
		}
	}
	again, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := NewKeys(Config{}, again)
	if err != nil {
		t.Fatal(err)
	}
	got := keys.Find(text.Reveal(), t0)
	if got == nil || got.ID != made.ID || again.Len() != 1 {
		t.Errorf("after a restart: %+v, %d keys", got, again.Len())
	}
	if !got.MayCall("sim/fast") || got.MayCall("gpt-5") {
		t.Error("the key's models are not kept")
	}
}

func TestFind(t *testing.T) {
	t.Setenv("POLICY_TEST_KEY", "any text of the operator")
	store, err := OpenStore("")
	if err != nil {
		t.Fatal(err)
	}
	short, _, err := store.Create(Key{Name: "short"}, "", time.Minute, t0, false)
	if err != nil {
		t.Fatal(err)
	}
	static := []Static{{Name: "ci", Key: secret.Env("POLICY_TEST_KEY"), Customer: "acme"}}
	closed, err := NewKeys(Config{Static: static}, store)
	if err != nil {
		t.Fatal(err)
	}
	open, err := NewKeys(Config{Static: static, Required: new(false)}, store)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		keys *Keys
		text string
		at   time.Time
		want string
	}{
		{"static", closed, "any text of the operator", t0, "ci"},
		{"stored", closed, short.Reveal(), t0, "short"},
		{"expired", closed, short.Reveal(), t0.Add(time.Hour), ""},
		{"wrong", closed, "sk-tp-wrong", t0, ""},
		{"none", closed, "", t0, ""},
		{"huge", closed, strings.Repeat("x", 1<<20), t0, ""},
		{"none where none is required", open, "", t0, "anonymous"},
		{"known where none is required", open, "any text of the operator", t0, "ci"},
		{"wrong where none is required", open, "whatever an SDK insists on", t0, "anonymous"},
	}
	for _, c := range cases {
		got := ""
		if k := c.keys.Find(c.text, c.at); k != nil {
			got = k.Name
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
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
	if n := testing.AllocsPerRun(100, func() { closed.Find("sk-tp-wrong", t0) }); n != 0 {
		t.Errorf("Find makes %v allocations", n)
	}
}

func TestADamagedStoreIsRefusedInWords(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenStore(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, keysFile), []byte(`[{"id":"a","hash":"zz"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(dir); err == nil || !strings.Contains(err.Error(), keysFile) {
		t.Errorf("error %v", err)
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	c := Config{Static: []Static{{Key: secret.Env("A")}, {Name: "a", Models: []string{"["}}, {Name: "a", Key: secret.Env("B")}}}
	var got []string
	c.Validate(func(at, wrong, right string) { got = append(got, at) })
	want := "keys.static[0] keys.static[1] keys.static[1].models[0] keys.static[2].name"
	if strings.Join(got, " ") != want {
		t.Errorf("problems at %q, want %q", got, want)
	}
}
