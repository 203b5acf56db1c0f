package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/secret"
)

// TestAPairIsItsKeys: of static and stored keys, the same after a restart, other
// in another place, and nowhere on the disk.
func TestAPairIsItsKeys(t *testing.T) {
	t.Setenv("POLICY_TEST_KEY", "any text of the operator")
	dir := t.TempDir()
	open := func(dir string) *Keys {
		t.Helper()
		return inForce(t, Setting{Keys: Config{Static: []Static{{Name: "ci", Key: secret.Env("POLICY_TEST_KEY")}}}}, openStore(t, dir))
	}
	keys := open(dir)
	create(t, keys.store, Order{KeySpec: KeySpec{Name: "app"}, Lifetime: 48 * time.Hour})
	again, elsewhere := open(dir), open(t.TempDir())
	seen := map[string]bool{}
	for _, name := range []string{"ci", "app"} {
		pair, key, err := keys.PairOf(name, t0)
		if err != nil || key.Name != name || !strings.HasPrefix(pair.ID, "TPAK") || len(pair.ID) != 20 || len(pair.Secret.Reveal()) != 64 {
			t.Fatalf("%+v, %+v, %v", pair, key, err)
		}
		found, hush := again.FindPair(pair.ID, t0)
		if found == nil || found.ID != key.ID || hush != pair.Secret {
			t.Errorf("%s: after a restart %+v", name, found)
		}
		if other, _ := elsewhere.FindPair(pair.ID, t0); other != nil {
			t.Errorf("%s: its pair is known elsewhere", name)
		}
		if seen[pair.Secret.Reveal()] {
			t.Error("two keys have one secret")
		}
		seen[pair.Secret.Reveal()] = true
		if h, _ := keys.store.pepper.Hash(pair.ID); keys.dir.Load().index.at(h) != nil {
			t.Error("an access key id opens something as a key")
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for hush := range seen {
			if strings.Contains(string(raw), hush) {
				t.Errorf("%s holds a secret", path)
			}
		}
	}
	pair, _, _ := keys.PairOf("app", t0)
	if key, hush := keys.FindPair(pair.ID, t0.Add(48*time.Hour)); key != nil || !hush.IsZero() {
		t.Error("an expired key still signs")
	}
	if _, _, err := keys.PairOf("app", t0.Add(48*time.Hour)); !errors.Is(err, ErrNoKey) {
		t.Errorf("the pair of an expired key: %v", err)
	}
	create(t, keys.store, Order{KeySpec: KeySpec{Name: "ci"}})
	if _, _, err := keys.PairOf("ci", t0); !errors.Is(err, ErrSeveral) {
		t.Errorf("the pair of two keys: %v", err)
	}
}

func TestNoOtherIDIsFound(t *testing.T) {
	t.Setenv("POLICY_TEST_KEY", "any text of the operator")
	static := []Static{{Name: "ci", Key: secret.Env("POLICY_TEST_KEY")}}
	closed := inForce(t, Setting{Keys: Config{Static: static}}, NewStore(Pepper{}, nil))
	open := inForce(t, Setting{Keys: Config{Static: static, Required: new(false)}}, NewStore(Pepper{}, nil))
	pair, _, err := closed.PairOf("ci", t0)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.StringMatching(`TPAK[A-Z2-7]{0,20}`), rapid.Map(rapid.IntRange(0, len(pair.ID)-1), func(i int) string {
			text := []byte(pair.ID)
			text[i] ^= 1
			return string(text)
		})).Draw(t, "id")
		if key, hush := closed.FindPair(id, t0); key != nil || !hush.IsZero() {
			t.Fatalf("%q opens %+v", id, key)
		}
		if key, hush := open.FindPair(id, t0); key == nil || key.Name != "anonymous" || !hush.IsZero() {
			t.Fatalf("%q is %+v where no key is required", id, key)
		}
	})
	if key, _ := open.FindPair(pair.ID, t0); key == nil || key.Name != "ci" {
		t.Error("a known pair is not its key's where none is required")
	}
}
