package app

import (
	"crypto/ed25519"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/catalog"
)

// installed is a state directory with a catalogue in which the simulator's fast
// model has a price and an end.
func installed(t *testing.T) string {
	t.Helper()
	const head = `{"source":"the test","as_of":"2027-01-01","version":"v"}` + "\n"
	c := must(catalog.New(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), map[string][]byte{
		catalog.Prices: []byte(head), catalog.Additions: []byte(head), catalog.Models: []byte(head),
		catalog.Retirements: []byte(head + `{"provider":"sim","model":"fast","deprecated":"2023-07-01","shutdown":"2030-01-31","instead":["slow"],"source":"https://example.com"}` + "\n"),
	}))
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	dir := filepath.Join(t.TempDir(), "state")
	must(catalog.Trust(dir, key.Public().(ed25519.PublicKey), "test"))
	must(catalog.Install(must(catalog.Bundle(c, key)), catalog.Config{}, dir))
	return dir
}

func TestTheEndOfAModelIsToldToCallersAndOperators(t *testing.T) {
	r := serving(t, Options{NoDetect: true, State: installed(t)})
	for model, want := range map[string][2]string{"sim/fast": {"@1688169600", "Thu, 31 Jan 2030 00:00:00 GMT"}, "sim/slow": {}} {
		req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.data.Addr().String()+"/v1/chat/completions",
			strings.NewReader(`{"model":"`+model+`","messages":[{"role":"user","content":"hello"}]}`)))
		req.Header.Set("Authorization", "Bearer "+r.key)
		resp := must(http.DefaultClient.Do(req))
		_ = resp.Body.Close()
		if got := [2]string{resp.Header.Get("Deprecation"), resp.Header.Get("Sunset")}; resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s: status %d, headers %q, want %q", model, resp.StatusCode, got, want)
		}
	}
	if _, body := r.manage(t, http.MethodGet, "/admin/v1/models"); !strings.Contains(body, "shuts down 2030-01-31, use slow") {
		t.Errorf("models: %s", body)
	}
	if _, body := r.manage(t, http.MethodGet, "/admin/v1/status"); !strings.Contains(body, `"catalog":"2027-01-01T00:00:00Z"`) && !strings.Contains(body, `"catalog": "2027-01-01T00:00:00Z"`) {
		t.Errorf("status: %s", body)
	}
}

func TestARefusedCatalogueBlocksNothing(t *testing.T) {
	dir := installed(t)
	path := filepath.Join(dir, "catalog.bundle")
	data := must(os.ReadFile(path))
	data[len(data)-1] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	r := serving(t, Options{NoDetect: true, State: dir})
	if status, body := r.ask(t, "sim/fast"); status != http.StatusOK {
		t.Errorf("status %d: %s", status, body)
	}
	if _, body := r.manage(t, http.MethodGet, "/admin/v1/status"); !strings.Contains(body, "catalog_refused") || !strings.Contains(body, "the signature does not fit") {
		t.Errorf("status: %s", body)
	}
	if known := r.known.Load(); !known.Embedded {
		t.Error("the changed catalogue is in force")
	}
}

func TestAnOldCatalogueIsAWarning(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "tailplane.yaml")
	if err := os.WriteFile(config, []byte("targets: {s: {kind: sim}}\ncatalog: {max_age: 1d}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := serving(t, Options{Config: config, State: filepath.Join(dir, "state")})
	if _, body := r.manage(t, http.MethodGet, "/admin/v1/status"); !strings.Contains(body, "days old; bring a newer one") {
		t.Errorf("status: %s", body)
	}
}
