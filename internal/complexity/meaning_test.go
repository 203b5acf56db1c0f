package complexity

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// direction is a vector by chance, the same for a seed.
func direction(size int, seed uint64) []float32 {
	random := rand.New(rand.NewPCG(seed, 8))
	v := make([]float32, size)
	for i := range v {
		v[i] = float32(random.NormFloat64())
	}
	return v
}

// at is a vector at an angle to another.
func at(from []float32, angle float64, seed uint64) []float32 {
	other := direction(len(from), seed)
	var along, length float64
	for i, x := range from {
		along += float64(x) * float64(other[i])
		length += float64(x) * float64(x)
	}
	var rest float64
	for i, x := range from {
		other[i] -= x * float32(along/length)
		rest += float64(other[i]) * float64(other[i])
	}
	out := make([]float32, len(from))
	for i, x := range from {
		out[i] = float32(float64(x)/math.Sqrt(length)*math.Cos(angle) + float64(other[i])/math.Sqrt(rest)*math.Sin(angle))
	}
	return out
}

func meaningOf(v []float32) []uint32 {
	return slices.Clone((&Extractor{}).Meaning(7, Embedding{"e", v}))
}

// shared is the part of the buckets that two embeddings have in common.
func shared(a, b []uint32) float64 {
	n := 0
	for _, x := range a {
		if _, found := slices.BinarySearch(b, x); found {
			n++
		}
	}
	return float64(n) / tables
}

// TestBucketsFollowTheAngle: two embeddings share a bucket if all its projections
// have the same signs, and each has with a chance that falls with the angle.
func TestBucketsFollowTheAngle(t *testing.T) {
	var used Extractor
	rapid.Check(t, func(t *rapid.T) {
		size, angle := rapid.IntRange(32, 2000).Draw(t, "size"), rapid.Float64Range(0, math.Pi/2).Draw(t, "angle")
		seed := rapid.Uint64().Draw(t, "seed")
		a := direction(size, seed)
		b := at(a, angle, seed+rapid.Uint64Range(1, 1000).Draw(t, "other"))
		one, two := meaningOf(a), slices.Clone(used.Meaning(7, Embedding{"e", b}))
		want := math.Pow(1-angle/math.Pi, tableBits)
		if got := shared(one, two); math.Abs(got-want) > 0.25 {
			t.Errorf("at %.2f they share %.2f of the buckets, want about %.2f", angle, got, want)
		}
		if again := used.Meaning(7, Embedding{"e", a}); !slices.Equal(again, one) {
			t.Error("a used extractor sees something else")
		}
		if len(one) > tables || len(one) < tables-4 || !slices.IsSorted(one) || slices.Max(one) >= Buckets || len(slices.Compact(slices.Clone(one))) != len(one) {
			t.Errorf("%v", one)
		}
	})
}

func TestNearEmbeddingsShareMostBucketsAndOthersFew(t *testing.T) {
	a := direction(384, 1)
	for _, c := range []struct {
		name        string
		b           []float32
		least, most float64
	}{
		{"itself", a, 1, 1},
		{"near", at(a, 0.05, 2), 0.85, 1},
		{"orthogonal", at(a, math.Pi/2, 2), 0, 0.15},
		{"opposite", at(a, math.Pi, 2), 0, 0.02},
	} {
		if got := shared(meaningOf(a), meaningOf(c.b)); got < c.least || got > c.most {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	one := meaningOf(a)
	for name, other := range map[string][]uint32{
		"another seed":  (&Extractor{}).Meaning(8, Embedding{"e", a}),
		"another model": (&Extractor{}).Meaning(7, Embedding{"f", a}),
	} {
		if got := shared(one, other); got > 0.05 {
			t.Errorf("%s: %v of the buckets are the same", name, got)
		}
	}
}

// TestTheLengthOfAnEmbeddingSaysNothing. Rounding may move what lies between two
// buckets.
func TestTheLengthOfAnEmbeddingSaysNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := direction(rapid.IntRange(1, 1500).Draw(t, "size"), rapid.Uint64().Draw(t, "seed"))
		longer := func(by float64) []uint32 {
			b := make([]float32, len(a))
			for i, x := range a {
				b[i] = float32(float64(x) * by)
			}
			return meaningOf(b)
		}
		if exponent := rapid.IntRange(-60, 60).Draw(t, "exponent"); !slices.Equal(longer(math.Ldexp(1, exponent)), meaningOf(a)) {
			t.Errorf("times 2^%d it has other buckets", exponent)
		}
		if by := rapid.Float64Range(1e-20, 1e20).Draw(t, "by"); shared(longer(by), meaningOf(a)) < shared(meaningOf(a), meaningOf(a))-2.0/tables {
			t.Errorf("times %v it has other buckets", by)
		}
	})
}

func TestWhatHasNoDirectionHasNoBuckets(t *testing.T) {
	with := func(x float64) []float32 {
		v := direction(16, 1)
		v[3] = float32(x)
		return v
	}
	var e Extractor
	for name, of := range map[string]Embedding{
		"nothing":      {},
		"no model":     {Vector: direction(16, 1)},
		"empty":        {Model: "e"},
		"zeros":        {"e", make([]float32, 16)},
		"not a number": {"e", with(math.NaN())},
		"infinite":     {"e", with(math.Inf(-1))},
		"too long":     {"e", direction(MostDimensions+1, 1)},
	} {
		if got := e.Meaning(7, of); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, size := range []int{1, MostDimensions} {
		if got := e.Meaning(7, Embedding{"e", direction(size, 1)}); len(got) == 0 {
			t.Errorf("%d dimensions have no buckets", size)
		}
	}
	if got := e.Meaning(7, Embedding{"e", with(math.MaxFloat32)}); len(got) == 0 {
		t.Error("the largest number has no buckets")
	}
}

// kinds are 20 meanings, of which half are hard for the weak model.
const kinds = 20

// meant is an embedding of a text of a kind.
func meant(kind int, random *rand.Rand) []float32 {
	v := direction(256, uint64(kind))
	for i := range v {
		v[i] += float32(random.NormFloat64())
	}
	return v
}

// smallTalk are words that say nothing about their kind.
func smallTalk(random *rand.Rand) string {
	words := strings.Fields("hello please tell me the time weather name capital colour city river")
	random.Shuffle(len(words), func(a, b int) { words[a], words[b] = words[b], words[a] })
	return strings.Join(words[:8], " ")
}

// embedded are samples whose words say nothing: only what they mean does.
func embedded(n int, seed uint64) []Sample {
	random := rand.New(rand.NewPCG(seed, 9))
	var e Extractor
	out := make([]Sample, n)
	for i := range out {
		kind := random.IntN(kinds)
		v := e.Extract(0, smallTalk(random))
		v.Meaning, v.Embedding = e.Meaning(0, Embedding{"e", meant(kind, random)}), "e"
		out[i] = Sample{Vector: v.Clone(), Strong: 1, Weak: float32(kind % 2)}
	}
	return out
}

// TestAModelLearnsFromMeaningAlone: where the words say nothing, embeddings tell
// what is hard, and without them there is nothing to be told by.
func TestAModelLearnsFromMeaningAlone(t *testing.T) {
	d := Data{Sets: []Set{{"s", embedded(1500, 1)}}}
	curve := func() Curve {
		c, err := crossedCurve(t.Context(), d.All(), Folds(d.All(), 5, 1), 1)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := curve(); c.APGR < 0.7 { // what tells all is about 0.75
		t.Errorf("with embeddings APGR is %v", c.APGR)
	}
	d.Embed("")
	if c := curve(); c.APGR < 0.45 || c.APGR > 0.55 {
		t.Errorf("without them it is %v", c.APGR)
	}
}

// withMeaning is a model that was trained with embeddings of "e".
func withMeaning(t testing.TB) *Model {
	t.Helper()
	samples := embedded(1500, 1)
	m, err := Train(t.Context(), Training{Weak: "small", Strong: "large", Samples: samples, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestARouterLooksAtEmbeddings(t *testing.T) {
	m := withMeaning(t)
	share := 0.5
	r := NewRouter(Config{StrongShare: &share}, m, nil)
	text := "hello please tell me the time weather name"
	for range 100 {
		if d := r.Route(Ask{Text: text}); d.Choice != Strong || d.Why != BecauseNoEmbedding || d.String() != "strong: no_embedding" {
			t.Fatal(d)
		}
	}
	if s := r.Sight(); s.Verdict != Cold {
		t.Errorf("requests without an embedding have told the guard something: %+v", s)
	}
	random := rand.New(rand.NewPCG(3, 9))
	wrong := 0
	for i := range 1000 {
		kind := random.IntN(kinds)
		d := r.Route(Ask{Text: smallTalk(random), Embedding: Embedding{"e", meant(kind, random)}})
		if i < DefaultDrift().Fewest {
			continue
		}
		if (d.Choice == Weak) != (kind%2 == 1) {
			wrong++
		}
	}
	if wrong > 100 {
		t.Errorf("%d of 1000 went to the wrong model", wrong)
	}
	for _, of := range []Embedding{{"f", meant(1, random)}, {"e", nil}, {"e", make([]float32, 256)}} {
		if d := r.Route(Ask{Text: text, Embedding: of}); d.Why != BecauseNoEmbedding {
			t.Errorf("%s, %d: %s", of.Model, len(of.Vector), d)
		}
	}
	if d := r.Route(Ask{Text: text, Held: Strong}); d.Why != BecauseHeld {
		t.Error(d)
	}
	if d := r.Route(Ask{}); d.Why != BecauseNoText {
		t.Error(d)
	}
}

// TestAModelWithoutMeaningIgnoresIt.
func TestAModelWithoutMeaningIgnoresIt(t *testing.T) {
	share := 0.3
	r := NewRouter(Config{StrongShare: &share}, trained(t), nil)
	bare, with := r.Route(Ask{Text: "prove this lemma"}), r.Route(Ask{Text: "prove this lemma", Embedding: Embedding{"e", direction(64, 1)}})
	if bare != with {
		t.Errorf("%s and %s", bare, with)
	}
}

func TestEmbeddingsThatDoNotFitAreToldOf(t *testing.T) {
	share := 0.3
	plain, with := NewRouter(Config{StrongShare: &share}, trained(t), nil), NewRouter(Config{StrongShare: &share}, withMeaning(t), nil)
	for _, c := range []struct {
		name string
		r    *Router
		by   []string
		says string
	}{
		{"neither", plain, nil, ""},
		{"both", with, []string{"x", "e"}, ""},
		{"not trained with", plain, []string{"e"}, "ignores"},
		{"not configured", with, nil, "names none"},
		{"others", with, []string{"f"}, `["f"]`},
	} {
		w := strings.Join(c.r.Warnings(c.by), "\n")
		if (c.says == "") != (w == "") || !strings.Contains(w, c.says) {
			t.Errorf("%s: %q", c.name, w)
		}
	}
}

// TestTheFileOfAModelWithMeaning comes back; without it it is of the version that was
// there before embeddings were.
func TestTheFileOfAModelWithMeaning(t *testing.T) {
	m := withMeaning(t)
	file := m.Encode()
	back, err := Decode(file)
	if err != nil || !reflect.DeepEqual(m, back) || back.Embedding != "e" || len(file) > MostFile {
		t.Errorf("it is another model: %v", err)
	}
	if version := file[len(fileMagic)]; version != 2 {
		t.Errorf("version %d", version)
	}
	plain := trained(t).Encode()
	if version := plain[len(fileMagic)]; version != 1 {
		t.Errorf("without: version %d", version)
	}
	unnamed := bytes.Clone(plain[len(fileMagic) : len(plain)-32])
	unnamed[0] = 2
	if _, err := Decode(sealed(unnamed)); err == nil {
		t.Error("the second version without a name was taken")
	}
}

func TestSamplesThatAreNotEmbeddedAlikeAreRefused(t *testing.T) {
	samples := append(embedded(600, 1), drawn(600, 1)...)
	if _, err := Train(t.Context(), Training{Weak: "small", Strong: "large", Samples: samples}); err != ErrMixed {
		t.Errorf("%v", err)
	}
}

// TestDataIsMadeAlike: the embeddings of most count, and what has none is left out.
func TestDataIsMadeAlike(t *testing.T) {
	for _, c := range []struct {
		with, without int
		want          string
		left          int
	}{{30, 20, "e", 30}, {20, 30, "", 50}, {0, 50, "", 50}, {25, 25, "", 50}} {
		d := Data{Sets: []Set{{"a", embedded(c.with, 1)}, {"b", drawn(c.without, 1)}}}
		if got := d.Embedding(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
		d.Embed(d.Embedding())
		all := d.All()
		if model, uniform := embeddingOf(all); model != c.want || !uniform || len(all) != c.left {
			t.Errorf("%+v: %d samples of %q, alike: %v", c, len(all), model, uniform)
		}
		if told := c.with > 0; told != (len(d.Notes) == 1) {
			t.Errorf("%+v: %q", c, d.Notes)
		}
	}
}

func TestExcerptsAreWholeCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, most := strings.Repeat(rapid.StringMatching(`[aé日🜂]{0,9}`).Draw(t, "text"), rapid.IntRange(0, 3000).Draw(t, "times")), rapid.IntRange(64, 2*MostText).Draw(t, "most")
		got := Excerpt(text, most)
		if len(got) > min(most, MostText) || !strings.HasPrefix(text, strings.SplitN(got, "\n", 2)[0]) {
			t.Fatalf("%d bytes of %d", len(got), len(text))
		}
		if _, end, cut := strings.Cut(got, "\n"); cut && (!strings.HasSuffix(text, end) || len(got) < min(most, MostText)-8) {
			t.Fatalf("%d bytes of %d, which do not end it", len(got), len(text))
		}
		if strings.ToValidUTF8(got, "?") != got {
			t.Fatal("a character is cut")
		}
		if len(text) < min(most, MostText) && got != text {
			t.Fatal("it was cut for nothing")
		}
	})
}

func BenchmarkMeaning(b *testing.B) {
	for _, size := range []int{384, 1024, 3072} {
		v := Embedding{"e", direction(size, 1)}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var e Extractor
			b.ReportAllocs()
			for b.Loop() {
				e.Meaning(7, v)
			}
		})
	}
}
