package llm

import (
	"testing"

	"pgregory.net/rapid"
)

func drawUsage(t *rapid.T) Usage {
	n := rapid.Int64Range(0, 3)
	return Usage{
		Input: n.Draw(t, "in"), CacheRead: n.Draw(t, "read"), CacheReadAudio: n.Draw(t, "audio read"), CacheWrite: n.Draw(t, "write"),
		CacheWrite1h: n.Draw(t, "hour"), InputAudio: n.Draw(t, "audio in"), Output: n.Draw(t, "out"), Reasoning: n.Draw(t, "reasoning"),
		OutputAudio: n.Draw(t, "audio out"), Images: n.Draw(t, "images"), AudioMillis: n.Draw(t, "ms"),
		Characters: n.Draw(t, "characters"), SearchUnits: n.Draw(t, "searches"),
		Tier:   rapid.SampledFrom([]string{"", "default", "flex"}).Draw(t, "tier"),
		Source: rapid.SampledFrom([]UsageSource{UsageReported, UsageTapped, UsageEstimated}).Draw(t, "source"),
	}
}

func TestAddIsASum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, v, w := drawUsage(t), drawUsage(t), drawUsage(t)
		if u.idle() || v.idle() || w.idle() {
			return
		}
		if (Usage{}).Add(u) != u || u.Add(Usage{Source: UsageNone}) != u {
			t.Fatalf("nothing changes %+v", u)
		}
		if u.Add(v) != v.Add(u) || u.Add(v).Add(w) != u.Add(v.Add(w)) {
			t.Fatalf("the order counts: %+v, %+v, %+v", u, v, w)
		}
		if sum := u.Add(v); u.Tier == v.Tier && sum.Tier != u.Tier || u.Tier != v.Tier && sum.Tier != TierMixed {
			t.Fatalf("%q and %q are %q", u.Tier, v.Tier, sum.Tier)
		}
	})
}
