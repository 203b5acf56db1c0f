package catalog

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tailplane/internal/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// signer is a key that is the same in every run.
func signer(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(n byte) ed25519.PublicKey { return signer(n).Public().(ed25519.PublicKey) }

// small is a catalogue of one line in each part, made at a moment.
func small(t testing.TB, made string) *Catalog {
	t.Helper()
	at, err := time.Parse(time.RFC3339, made)
	if err != nil {
		t.Fatal(err)
	}
	const head = `{"source":"us","as_of":"2027-01-01","version":"v"}` + "\n"
	c, err := New(at, map[string][]byte{
		Prices:      []byte(head + `{"provider":"openai"}` + "\n" + `{"model":"gpt-9","match":{"equals":"gpt-9"},"prices":[{"input":"7","output":"8"}]}` + "\n"),
		Additions:   []byte(head + `{"provider":"openai","tier":"flex","percent":50,"source":"https://example.com","as_of":"2027-01-01"}` + "\n"),
		Models:      []byte(head + `{"model":"openai/gpt-9","context":1000}` + "\n"),
		Retirements: []byte(head + `{"provider":"openai","model":"gpt-9","shutdown":"2028-01-01","source":"https://example.com"}` + "\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func bundle(t testing.TB, made string, key ed25519.PrivateKey) []byte {
	t.Helper()
	data, err := Bundle(small(t, made), key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTheBuiltInCatalogueIsWhole(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.models()) < 200 || len(c.retirements()) < 400 || !c.Embedded || len(c.Parts) != 4 {
		t.Errorf("%d models, %d retirements, parts %+v", len(c.models()), len(c.retirements()), c.Parts)
	}
	if _, err := New(c.Made, c.texts); err != nil {
		t.Errorf("read as one from elsewhere: %v", err)
	}
	for _, p := range c.Parts {
		if p.Source == "" || p.AsOf == "" || p.Entries == 0 || p.Bytes == 0 {
			t.Errorf("part %+v", p)
		}
	}
	b, err := c.Book()
	if err != nil || b.Price("openai", "o3", time.Now(), llm.Usage{Input: 1}).Nano != 2_000 {
		t.Errorf("the book has another price (%v)", err)
	}
}

func TestABundleIsWhatWentIntoIt(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	data, err := Bundle(c, signer(1))
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := Bundle(c, signer(1)); !bytes.Equal(again, data) {
		t.Error("the same catalogue and key gave other bytes")
	}
	got, err := Open(data, []ed25519.PublicKey{public(2), public(1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range partNames {
		if !bytes.Equal(got.Text(name), c.Text(name)) {
			t.Errorf("%s is not what it was", name)
		}
	}
	if got.Embedded || !got.Made.Equal(c.Made) || len(data) > 150_000 {
		t.Errorf("embedded %v, made %v, %d bytes", got.Embedded, got.Made, len(data))
	}
}

func TestABadBundleIsRefusedInWords(t *testing.T) {
	good := bundle(t, "2027-01-02T00:00:00Z", signer(1))
	keys := []ed25519.PublicKey{public(1)}
	change := func(old, new string) []byte { return bytes.Replace(bytes.Clone(good), []byte(old), []byte(new), 1) }
	for name, tc := range map[string]struct {
		data []byte
		keys []ed25519.PublicKey
		want error
	}{
		"nothing":         {nil, keys, ErrNoBundle},
		"something else":  {[]byte("PK\x03\x04"), keys, ErrNoBundle},
		"a future form":   {change("tailplane-catalog 1", "tailplane-catalog 2"), keys, ErrFuture},
		"another key":     {good, []ed25519.PublicKey{public(2)}, ErrNoKey},
		"no key":          {good, nil, ErrNoKey},
		"a later date":    {change("2027-01-02T", "2029-01-02T"), keys, ErrBadSign},
		"another source":  {change(`"source":"us"`, `"source":"me"`), keys, ErrBadSign},
		"a longer stream": {append(bytes.Clone(good), 0), keys, ErrBadSign},
		"a cut stream":    {good[:len(good)-1], keys, ErrBadSign},
		"only a head":     {good[:30], keys, ErrNoBundle},
	} {
		if _, err := Open(tc.data, tc.keys); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		} else if !strings.ContainsAny(err.Error(), ";:") {
			t.Errorf("%s: it does not say what to do: %v", name, err)
		}
	}
}

func TestAnyChangedByteIsRefused(t *testing.T) {
	good := bundle(t, "2027-01-02T00:00:00Z", signer(1))
	rapid.Check(t, func(t *rapid.T) {
		bad := bytes.Clone(good)
		at := rapid.IntRange(0, len(bad)-1).Draw(t, "at")
		bad[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if _, err := Open(bad, []ed25519.PublicKey{public(1)}); err == nil {
			t.Fatalf("byte %d may be changed", at)
		}
	})
}

func TestAWellSignedWrongCatalogueIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Catalog){
		"a wrong price":     func(c *Catalog) { c.texts[Prices] = bytes.Replace(c.texts[Prices], []byte(`"7"`), []byte(`"x"`), 1) },
		"a wrong size":      func(c *Catalog) { c.Parts[0].Bytes++ },
		"a negative size":   func(c *Catalog) { c.Parts[0].Bytes = -1 },
		"an immense size":   func(c *Catalog) { c.Parts[0].Bytes = 1 << 40 },
		"a part is missing": func(c *Catalog) { c.Parts = c.Parts[1:]; c.texts[Prices] = nil },
		"a wrong hash":      func(c *Catalog) { c.Parts[0].Sum = "00" },
	} {
		c := small(t, "2027-01-02T00:00:00Z")
		change(c)
		data, err := Bundle(c, signer(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(data, []ed25519.PublicKey{public(1)}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInstallGoesForwardOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if c, err := Load(Default(), dir); err != nil || !c.Embedded {
		t.Fatalf("without a bundle: %v", err)
	}
	first, second := bundle(t, "2027-01-02T00:00:00Z", signer(1)), bundle(t, "2027-02-01T00:00:00Z", signer(1))
	if _, err := Install(second, Config{}, dir); !errors.Is(err, ErrNoKey) {
		t.Fatalf("without trust: %v", err)
	}
	if added, err := Trust(dir, public(1), "our  platform\nteam"); err != nil || !added {
		t.Fatal(added, err)
	}
	if added, err := Trust(dir, public(1), "again"); err != nil || added {
		t.Error("a key was added twice", err)
	}
	if _, err := Install(second, Config{}, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(second, Config{}, dir); err != nil {
		t.Errorf("the same again: %v", err)
	}
	var back *RollbackError
	if _, err := Install(first, Config{}, dir); !errors.As(err, &back) {
		t.Errorf("an older one: %v", err)
	}
	c, err := Load(Default(), dir)
	if err != nil || c.Embedded || c.Version() != "2027-02-01T00:00:00Z" {
		t.Fatalf("%v, %v", c.Version(), err)
	}
	// Somebody who can write the file cannot go back, either.
	if err := os.WriteFile(filepath.Join(dir, bundleFile), first, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(Default(), dir); !errors.As(err, &back) || !c.Embedded {
		t.Errorf("an older one in its place: %v", err)
	}
}

func TestTheConfigsFileGoesFirst(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "prices.bundle")
	cfg := Config{File: path, PublicKey: FormatKey(public(3))}
	if c, err := Load(cfg, dir); err == nil || !c.Embedded {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, bundle(t, "2027-01-02T00:00:00Z", signer(3)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{dir, ""} {
		c, err := Load(cfg, state)
		if err != nil || c.Embedded {
			t.Fatal(err)
		}
		b, err := c.Book()
		if err != nil || b.Price("openai", "gpt-9", time.Now(), llm.Usage{Input: 2, Tier: "flex"}).Nano != 7_000 {
			t.Errorf("the prices are not those of the file (%v)", err)
		}
	}
	if err := os.WriteFile(path, bundle(t, "2026-01-02T00:00:00Z", signer(3)), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(cfg, ""); err == nil || !c.Embedded {
		t.Errorf("one that is older than the program: %v", err)
	}
}

func TestKeysReadWhatTheyWriteAndWhatOpenSSLWrites(t *testing.T) {
	text, err := FormatSigner(signer(1))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := ParseSigner(text); err != nil || !key.Equal(signer(1)) {
		t.Error(err)
	}
	if key, err := ParseKey(FormatKey(public(1)) + "\n"); err != nil || !key.Equal(public(1)) {
		t.Error(err)
	}
	// openssl genpkey -algorithm ed25519 | openssl pkey -pubout, of the seed 0101...
	const pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAiojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\n-----END PUBLIC KEY-----\n"
	if key, err := ParseKey(pem); err != nil || !key.Equal(public(1)) {
		t.Error(err)
	}
	for _, bad := range []string{"", "AAAA", "not base64!", string(text), "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
	for _, bad := range []string{"", "secret-text", pem} {
		if _, err := ParseSigner([]byte(bad)); err == nil || bad != "" && strings.Contains(err.Error(), "secret-text") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTheEndOfAModelIsFound(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ kind, model, want string }{
		{"openai", "gpt-realtime", "shuts down 2027-01-20, use gpt-realtime-2.1"},
		{"openai", "GPT-4-1106-preview", "was to shut down 2026-10-23, use gpt-5.6-sol"},
		{"azure", "gpt-5.6-terra", "shuts down 2027-07-09"},
		{"bedrock", "us.anthropic.claude-3-5-sonnet-20241022-v2:0", "was to shut down 2026-07-30"},
		{"gemini", "imagen-4.0-fast-generate-001", "was to shut down 2026-08-17, use gemini-3.1-flash-image"},
		{"vertex", "imagen-4.0-fast-generate-001", "was to shut down 2026-08-17, use gemini-3.1-flash-image"},
		{"cohere", "command-light", ""}, // deprecated without a day of shutdown
		{"openai", "gpt-99", ""},
		{"vllm", "gpt-realtime", ""},
	} {
		r, _ := c.Retirement(tc.kind, tc.model)
		if got := r.Warning(time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)); got != tc.want {
			t.Errorf("%s %s: %q, want %q", tc.kind, tc.model, got, tc.want)
		}
	}
	list := c.Upcoming(time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC))
	if len(list) < 40 || list[0].Shutdown > list[len(list)-1].Shutdown {
		t.Errorf("%d are upcoming", len(list))
	}
	if m, ok := c.Model("gemini-2.5-pro"); !ok || m.Context != 1_048_576 || m.Output != 65_536 {
		t.Errorf("%+v", m)
	}
	if _, ok := c.Model("gpt-99"); ok {
		t.Error("limits of a model that nobody knows")
	}
}

func TestAgeIsThatOfTheOldestPart(t *testing.T) {
	c := small(t, "2027-02-01T00:00:00Z")
	now := time.Date(2027, 1, 11, 0, 0, 0, 0, time.UTC)
	if got := c.Age(now); got != 10*24*time.Hour {
		t.Errorf("%v", got)
	}
}

func TestConfigNamesWrongKeys(t *testing.T) {
	var got []string
	Config{PublicKey: "x", Keys: []string{FormatKey(public(1)), "y"}, MaxAge: -1}.Validate(func(path, wrong, right string) { got = append(got, path) })
	if fmt.Sprint(got) != "[catalog.public_key catalog.keys[1] catalog.max_age]" {
		t.Error(got)
	}
}

func FuzzOpen(f *testing.F) {
	good := bundle(f, "2027-01-02T00:00:00Z", signer(1))
	f.Add(good)
	f.Add([]byte("tailplane-catalog 1\n{}\n\n"))
	f.Add([]byte("tailplane-catalog 2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := Open(data, []ed25519.PublicKey{public(1)}); err == nil && !bytes.Equal(data, good) && c.Version() != "2027-01-02T00:00:00Z" {
			t.Fatal("a bundle that nobody signed was opened")
		}
	})
}
