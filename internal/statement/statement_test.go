package statement

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func signer(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(n byte) ed25519.PublicKey { return signer(n).Public().(ed25519.PublicKey) }

func month(text string) Month {
	m, err := ParseMonth(text)
	if err != nil {
		panic(err)
	}
	return m
}

// sample is a good order; each test changes what it is about.
func sample() Input {
	return Input{
		Site: "plant-7", Customer: "acme", Month: month("2026-11"), Number: 1, Exchanges: 5,
		Lines: []Line{
			{Day: "2026-11-02", Model: "gpt-5.4", Provider: "openai", Sums: Sums{Requests: 2, Input: 10, Output: 4, Cost: NanoOf(7)}},
			{Day: "2026-11-01", Model: "gpt-5.4", Provider: "openai", Sums: Sums{Requests: 3, Input: 5, CacheRead: 2, Cost: NanoOf(1_500_000_000)}},
			{Day: "2026-11-02", Model: "gpt-5.4", Provider: "openai", Sums: Sums{Requests: 1, Unpriced: 1}},
			{Day: "2026-11-02", Model: "模型 <\"&\u2028😀", Provider: "vllm", Sums: Sums{Requests: 1, AudioMillis: 9, Unknown: 1}},
		},
		Prices: []string{"b", "a", "b"}, Ledger: Chain{Head: "ff00", Length: 12},
		Made: time.Date(2026, 12, 1, 3, 0, 0, 5, time.FixedZone("", 3600)), Program: "test",
	}
}

func signed(t testing.TB, in Input, key byte) []byte {
	t.Helper()
	s, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	file, err := Sign(s, signer(key))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func opened(t testing.TB, in Input) *Signed {
	t.Helper()
	s, err := Open(signed(t, in, 1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAStatementIsWhatWasPutIn(t *testing.T) {
	s := opened(t, sample())
	if len(s.Lines) != 3 || s.Lines[0].Day != "2026-11-01" || s.Lines[1].Requests != 3 || s.Lines[1].Unpriced != 1 {
		t.Errorf("lines %+v", s.Lines)
	}
	if s.Totals.Requests != 7 || s.Totals.Input != 15 || s.Totals.Cost.Dollars() != "1.500000007" || s.Totals.Unknown != 1 {
		t.Errorf("totals %+v", s.Totals)
	}
	if fmt.Sprint(s.Prices) != "[a b]" || s.Made.Format(time.RFC3339Nano) != "2026-12-01T02:00:00Z" {
		t.Errorf("prices %v, made %v", s.Prices, s.Made)
	}
	r := Verify(signed(t, sample(), 1), one(public(1)), nil)
	if !r.OK() || r.Partial || r.Cost != "1.500000007" || len(r.Notes) != 2 {
		t.Errorf("%+v", r)
	}
}

func TestMakeRefusesWhatDoesNotHold(t *testing.T) {
	cases := map[string]func(*Input){
		"names no site":                       func(in *Input) { in.Site = "" },
		"names no month":                      func(in *Input) { in.Month = Month{} },
		"which is not in 2026-11":             func(in *Input) { in.Lines[0].Day = "2026-12-01" },
		"names the customer":                  func(in *Input) { in.Lines[0].Customer = "other" },
		"before its month was over":           func(in *Input) { in.Made = time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC) },
		"no digest of the one before":         func(in *Input) { in.Number = 2 },
		"no number that follows":              func(in *Input) { in.Previous = "sha256:00" },
		"replaces number 1, which is not bef": func(in *Input) { in.Replaces = 1 },
		"beyond 2^53":                         func(in *Input) { in.Lines[0].Input = mostWhole },
		"below zero":                          func(in *Input) { in.Lines[0].Input = -1 },
		"a count is below zero":               func(in *Input) { in.Open = -1 },
	}
	for want, change := range cases {
		in := sample()
		change(&in)
		if _, err := Make(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestAFileSurvivesEditorsAndMail: what people do to a text that they pass on.
func TestAFileSurvivesEditorsAndMail(t *testing.T) {
	file := signed(t, sample(), 1)
	var loose map[string]any // members in another order, other escapes
	if err := json.Unmarshal(file, &loose); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(loose)
	if err != nil {
		t.Fatal(err)
	}
	raw := strings.ReplaceAll(string(again), `\u2028`, "\u2028")
	if strings.ContainsFunc(string(file), func(r rune) bool { return r > '~' }) {
		t.Error("the file is not ASCII")
	}
	for name, text := range map[string]string{
		"CRLF":           strings.ReplaceAll(string(file), "\n", "\r\n"),
		"a mark":         "\xef\xbb\xbf" + string(file),
		"tabs":           strings.ReplaceAll(string(file), "\n ", "\n\t"),
		"blank lines":    "\n\n" + strings.ReplaceAll(string(file), "\n", "\n\n"),
		"another order":  string(again),
		"other escapes":  raw,
		"no end of line": strings.TrimSpace(string(file)),
	} {
		if r := Verify([]byte(text), one(public(1)), nil); !r.OK() {
			t.Errorf("%s: %v", name, r.Problems)
		}
	}
}

func TestVerifyNamesTheProblem(t *testing.T) {
	good := string(signed(t, sample(), 1))
	change := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("no %q in %s", from, good)
		}
		return strings.Replace(good, from, to, 1)
	}
	cases := []struct{ name, file, want string }{
		{"a count", change(`"input": 10`, `"input": 11`), "changed after it was signed"},
		{"a digest", change(`"digest": "sha256:`, `"digest": "sha256:0`), "says that its digest is"},
		{"a member twice", change(`"site": "plant-7"`, `"site": "plant-7", "site": "x"`), "stands twice"},
		{"the same member in capitals", change(`"site": "plant-7"`, `"site": "plant-7", "Site": "x"`), "does not know"},
		{"a member that nobody knows", change(`"site": "plant-7"`, `"site": "plant-7", "vat": 19`), "does not know"},
		{"a member beside", change(`"digest"`, `"x": 1, "digest"`), "must be an object with"},
		{"a fraction", change(`"input": 10`, `"input": 10.5`), "not whole"},
		{"an exponent", change(`"input": 10`, `"input": 1e1`), "not whole"},
		{"a null", change(`"input": 10`, `"input": null`), "null"},
		{"a name beyond ASCII", change(`"input"`, `"ïnput"`), "beyond ASCII"},
		{"a cut", good[:len(good)/2], "no JSON"},
		{"two files", good + good, "follows the end"},
		{"another format", change(Format, "tailplane-statement/2"), "use a newer one"},
		{"a signature that is none", change(`"signature": "`, `"signature": "!`), "base64 of 64 bytes"},
		{"a key that is none", change(`"key": "`, `"key": "AAAA`), "base64 of 32 bytes"},
		{"deep", change(`"input": 10`, `"input": `+strings.Repeat("[", 2000)+strings.Repeat("]", 2000)), "too deep"},
		{"not UTF-8", change("plant-7", "plant-\xff"), "not UTF-8"},
		{"nothing", "", "no JSON"},
	}
	for _, c := range cases {
		r := Verify([]byte(c.file), one(public(1)), nil)
		if r.OK() || !strings.Contains(strings.Join(r.Problems, "\n"), c.want) {
			t.Errorf("%s: %v, want %q", c.name, r.Problems, c.want)
		}
	}
	for want, keys := range map[string][]ed25519.PublicKey{
		"no key is trusted": nil, "not among those": {public(2), nil},
	} {
		if r := Verify([]byte(good), keys, nil); len(r.Problems) != 1 || !strings.Contains(r.Problems[0], want) {
			t.Errorf("%v, want %q", r.Problems, want)
		}
	}
	if r := Verify([]byte(good), []ed25519.PublicKey{public(2), public(1)}, nil); !r.OK() {
		t.Errorf("one of two keys: %v", r.Problems)
	}
}

// TestSumsThatDoNotAddUpAreNamed: a site whose program is wrong signs it, too.
func TestSumsThatDoNotAddUpAreNamed(t *testing.T) {
	s, err := Make(sample())
	if err != nil {
		t.Fatal(err)
	}
	s.Totals.Output++
	s.Totals.Cost = NanoOf(8)
	s.Lines[0], s.Lines[1] = s.Lines[1], s.Lines[0]
	s.Prices = []string{"b", "a"}
	file, err := Sign(s, signer(1))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(Verify(file, one(public(1)), nil).Problems, "\n")
	for _, want := range []string{"total of output is stated as 5, and the lines add up to 4", "$0.000000008, and the lines add up to $1.500000007", "in the wrong place", "prices are not in order"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %q", got, want)
		}
	}
}

func TestStatementsFollowEachOther(t *testing.T) {
	first := opened(t, sample())
	next := func(change func(*Input)) Report {
		in := sample()
		in.Number, in.Previous, in.Month, in.Lines = 2, first.Digest, month("2026-12"), nil
		in.Made, in.Ledger = in.Made.AddDate(0, 1, 0), Chain{Head: "ff01", Length: 13}
		change(&in)
		return Verify(signed(t, in, 1), one(public(1)), first)
	}
	if r := next(func(*Input) {}); !r.OK() {
		t.Errorf("the next one: %v", r.Problems)
	}
	cases := map[string]func(*Input){
		"another site or customer: plant-7, customer acme": func(in *Input) { in.Customer = "b" },
		"number 2 is missing":                              func(in *Input) { in.Number = 3 },
		"numbers 2 to 8 are missing":                       func(in *Input) { in.Number = 9 },
		"not the next one":                                 func(in *Input) { in.Number, in.Previous = 1, "" },
		"one of them was made anew":                        func(in *Input) { in.Previous = "sha256:00" },
		"not two months in a row":                          func(in *Input) { in.Month, in.Made = month("2027-01"), in.Made.AddDate(1, 0, 0) },
		"made before the statement before":                 func(in *Input) { in.Month, in.Made = month("2026-10"), in.Made.AddDate(0, -2, 0) },
		"was cut or replaced":                              func(in *Input) { in.Ledger.Length = 11 },
		"ends otherwise":                                   func(in *Input) { in.Ledger.Length = 12 },
	}
	for want, change := range cases {
		if r := next(change); !strings.Contains(strings.Join(r.Problems, "\n"), want) {
			t.Errorf("%v, want %q", r.Problems, want)
		}
	}
	if r := next(func(in *Input) { in.Month, in.Replaces = month("2026-11"), 1 }); !r.OK() || !strings.Contains(strings.Join(r.Notes, "\n"), "replaces number 1") {
		t.Errorf("a replacement: %+v", r)
	}
	if r := next(func(in *Input) { in.Number, in.Previous = 0, "" }); !r.OK() {
		t.Errorf("a draft: %+v", r)
	}
}

// TestNoChangedByteVerifies: whatever byte of a file is changed, the file is
// refused or still says the same.
func TestNoChangedByteVerifies(t *testing.T) {
	file := signed(t, sample(), 1)
	was := opened(t, sample()).Digest
	for i := range file {
		for _, to := range []byte{file[i] ^ 1, file[i] ^ 0x20, ' ', '0'} {
			bad := bytes.Clone(file)
			bad[i] = to
			if r := Verify(bad, one(public(1)), nil); r.OK() && r.Digest != was {
				t.Fatalf("byte %d as %q verifies", i, to)
			}
		}
	}
}

func TestNanoIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sum, want := Nano{}, new(big.Int)
		for _, n := range rapid.SliceOf(rapid.Int64()).Draw(t, "amounts") {
			sum = sum.Plus(NanoOf(n))
			want.Add(want, big.NewInt(n))
		}
		if sum.String() != want.String() {
			t.Fatalf("%v, want %v", sum, want)
		}
		digits := strings.Replace(sum.Dollars(), ".", "", 1)
		back, ok := new(big.Int).SetString(digits, 10)
		if !ok || back.Cmp(want) != 0 {
			t.Fatalf("%s dollars, want %v nano", sum.Dollars(), want)
		}
		var again Nano
		if err := again.UnmarshalText([]byte(sum.String())); err != nil || again.Cmp(sum) != 0 {
			t.Fatalf("%v, %v", again, err)
		}
	})
	for _, text := range []string{"", "1.5", "0x1", "1e3", strings.Repeat("9", 41)} {
		if err := new(Nano).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzOpen(f *testing.F) {
	file := signed(f, sample(), 1)
	f.Add(file)
	f.Add([]byte(`{"statement":{"format":"tailplane-statement/1","lines":[]},"digest":"","signature":"","key":""}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := Open(file)
		if err != nil {
			return
		}
		// What was read is what is signed: written again, it has the same digest.
		again, err := Sign(s.Statement, signer(1))
		if err != nil {
			t.Fatal(err)
		}
		o, err := Open(again)
		if err != nil || o.Digest != s.Digest {
			t.Fatalf("%v: %q, %q", err, s.body, again)
		}
		_ = Verify(file, one(s.Key), s)
		if _, err := Merge([]*Signed{s}, Columns()); err != nil && s.problems() == nil {
			t.Fatal(err)
		}
	})
}
