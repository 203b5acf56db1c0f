package meter

import (
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"testing"
)

func catalogue(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "catalog", "genai-prices", "prices", "data.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("the catalogue is not there to compare with: %v", err)
	}
	return data
}

// Every unit price of the catalogue is in the book, to the pico-dollar, read by
// way of the catalogue's own JSON and not of the generator.
func TestBookEqualsTheCatalogue(t *testing.T) {
	var list []struct {
		ID     string
		Models []struct {
			ID     string
			Prices json.RawMessage
		}
	}
	if err := json.Unmarshal(catalogue(t), &list); err != nil {
		t.Fatal(err)
	}
	b, compared := load(t), 0
	for _, p := range list {
		entries, err := b.providers[p.ID].models()
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != len(p.Models) {
			t.Fatalf("%s has %d models, the catalogue %d", p.ID, len(entries), len(p.Models))
		}
		for i, m := range p.Models {
			if entries[i].id != m.ID {
				t.Fatalf("%s: model %d is %s, in the catalogue %s", p.ID, i, entries[i].id, m.ID)
			}
			compared += compare(t, p.ID+" "+m.ID, entries[i], m.Prices)
		}
	}
	t.Logf("%d unit prices compared", compared)
	if compared < 3000 {
		t.Errorf("only %d unit prices were compared", compared)
	}
}

func compare(t *testing.T, what string, e entry, raw json.RawMessage) int {
	t.Helper()
	type conditionalPrice struct {
		Prices map[string]json.RawMessage
	}
	var want []conditionalPrice
	if raw[0] == '[' {
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
	} else {
		want = make([]conditionalPrice, 1)
		if err := json.Unmarshal(raw, &want[0].Prices); err != nil {
			t.Fatal(err)
		}
		if len(want[0].Prices) == 0 {
			want = nil
		}
	}
	if len(want) != len(e.prices) {
		t.Errorf("%s: %d price lists, want %d", what, len(e.prices), len(want))
		return 0
	}
	n := 0
	for i, w := range want {
		l := e.prices[i].list
		have := map[string]*tieredPrice{
			"input_mtok": l.input, "cache_read_mtok": l.cacheRead, "cache_write_mtok": l.cacheWrite, "output_mtok": l.output,
			"input_audio_mtok": l.inputAudio, "cache_audio_read_mtok": l.cacheAudio, "output_audio_mtok": l.outputAudio, "requests_kcount": l.requests,
		}
		for name, p := range have {
			if raw, ok := w.Prices[name]; ok != (p != nil) {
				t.Errorf("%s: %s is known: %v, want %v", what, name, p != nil, ok)
			} else if ok {
				n += comparePrice(t, what+" "+name, p, raw)
			}
		}
	}
	return n
}

func comparePrice(t *testing.T, what string, p *tieredPrice, raw json.RawMessage) int {
	t.Helper()
	var tiered struct {
		Base  json.Number
		Tiers []struct {
			Start int64
			Price json.Number
		}
	}
	if raw[0] != '{' {
		tiered.Base = json.Number(raw)
	} else if err := json.Unmarshal(raw, &tiered); err != nil {
		t.Fatal(err)
	}
	equal := func(what string, got Price, text json.Number) {
		want, ok := new(big.Rat).SetString(text.String())
		diff := new(big.Rat).Sub(want, big.NewRat(int64(got), 1e12))
		if !ok || diff.Abs(diff).Cmp(big.NewRat(1, 2e12)) > 0 {
			t.Errorf("%s is %v, want %s", what, got, text)
		}
	}
	equal(what, p.base, tiered.Base)
	if len(p.tiers) != len(tiered.Tiers) {
		t.Fatalf("%s has %d tiers, want %d", what, len(p.tiers), len(tiered.Tiers))
	}
	for i, w := range tiered.Tiers {
		equal(what, p.tiers[i].price, w.Price)
		if p.tiers[i].above != w.Start {
			t.Errorf("%s: tier %d begins at %d, want %d", what, i, p.tiers[i].above, w.Start)
		}
	}
	return 1 + len(tiered.Tiers)
}
