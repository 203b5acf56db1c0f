package complexity
import ("testing";"math/rand/v2";"encoding/csv";"os";"path/filepath";"strings";"time")
func quick(t *testing.T, pat, cont string) (out []Sample) {
	e := &Extractor{}
	cb,_ := os.ReadFile(cont)
	fs,_ := filepath.Glob(pat)
	rm:=0
	for _, f := range fs {
		fd,_ := os.Open(f)
		rec, err := csv.NewReader(fd).ReadAll()
		if err != nil { t.Fatal(err) }
		for _, r := range rec[1:] {
			j,_ := jsonStr(r[0])
			if strings.Contains(string(cb), `"eval_prompt": `+j) || strings.Contains(string(cb), `"eval_prompt":`+j) { rm++; continue }
			b := func(s string) float32 { if s=="True" {return 1}; return 0}
			out = append(out, Sample{Vector: e.Extract(0, r[0]).Clone(), Weak: b(r[1]), Strong: b(r[2]), Group: filepath.Base(f)})
		}
	}
	t.Log("removed", rm, len(out))
	return
}
func TestQuick(t *testing.T) {
	d := "/work/shared/traces/routellm/"
	t0 := time.Now()
	mm := quick(t, d+"mmlu_responses/*.csv", d+"mmlu_contaminated_prompts.jsonl")
	gs := quick(t, d+"gsm8k_responses.csv", d+"gsm8k_contaminated_prompts.jsonl")
	t.Log("read", time.Since(t0))
	show := func(n string, s []Sample, c []crossed) { sc := make([]float64, len(c)); for i := range c { sc[i]=float64(c[i].need()) }; r, err := CurveOf(s, sc); t.Logf("%s %.4f %.1f %.1f %v %v", n, r.APGR, r.CPT50, r.CPT80, err, time.Since(t0)) }
	avg := func(n string, q []Sample, k uint64) { a := Curve{}; lo, hi := 1.,0.; for s := uint64(1); s<=k; s++ { c := cross(q, Folds(q,5,s),5,s); sc := make([]float64, len(c)); for i := range c { sc[i]=float64(c[i].need()) }; r, _ := CurveOf(q, sc); a.APGR+=r.APGR/float64(k); a.CPT50+=r.CPT50/float64(k); a.CPT80 += r.CPT80/float64(k); lo=min(lo,r.APGR); hi=max(hi,r.APGR)}; t.Logf("%s %.4f (%.4f-%.4f) %.1f %.1f %v", n, a.APGR, lo,hi, a.CPT50, a.CPT80, time.Since(t0)) }
	avg("gsm", gs, 20); avg("mmlu", mm, 3)
	if os.Getenv("LONG") == "" { return }
	f,k := Groups(mm)
	show("lso", mm, cross(mm,f,k,1))
	for _, p := range [][2][]Sample{{mm,gs},{gs,mm}} {
		m, err := Train(Training{Samples: p[0], Seed: 1})
		if err != nil { t.Fatal(err) }
		var c []crossed
		for i := range p[1] { s := m.Score(p[1][i].Vector); c = append(c, crossed{weak: s.Weak, strong: s.Strong}) }
		show("off", p[1], c)
		for _, q := range p {
			g := NewGuard(m, Drift{}); n := map[Verdict]int{}; var first Sight
			off := 0
			for j, i := range Folds(q, len(q), 3) { _=j; s := g.Observe(m.Score(q[i].Vector), &q[i].Shape); n[s.Verdict]++; if s.Verdict==Off {off++; if first.Verdict=="" {first=s} } }
			t.Log(n, first, g.Now(), m.reference.MostNew)
		}
		f0 := Folds(p[0], 5, 9); m2, _ := Train(Training{Samples: without(p[0], f0, 0), Seed: 1}); { g := NewGuard(m2, Drift{}); n := map[Verdict]int{}; var first Sight; for i := range p[0] { if f0[i]!=0 {continue}; _=i }
		for _, i := range rnd(len(p[0])) { if f0[i]!=0 {continue}; s := g.Observe(m2.Score(p[0][i].Vector), &p[0][i].Shape); n[s.Verdict]++; if s.Verdict==Off { first=s } }
		t.Log("heldout", n, first, g.Now()) }
		for _, fl := range []float64{.8,.85,.9,.92,.95} { n, ok := m.Floor("", fl); t.Log(fl, n, ok) }
		t.Log(m.risk)
	}
}

func rnd(n int) []int { return rand.New(rand.NewPCG(1,1)).Perm(n) }
