package llm

// UsageSource says where the figures of a Usage come from.
type UsageSource string

// The sources, best first.
const (
	UsageReported  UsageSource = "reported"  // the provider's own figures of a complete answer
	UsageTapped    UsageSource = "tapped"    // the provider's figures, read from an answer that did not reach its end
	UsageEstimated UsageSource = "estimated" // our estimate from bytes
	UsageNone      UsageSource = "none"      // nothing was spent or nothing is known
)

// Usage is what a request consumed: tokens, and the units of operations that
// are not counted in tokens. Classes of tokens nest: Input contains CacheRead,
// CacheWrite and InputAudio; CacheWrite contains CacheWrite1h; CacheReadAudio
// is what CacheRead and InputAudio have in common; Output contains Reasoning and
// OutputAudio. Dialects that report disjoint figures (Anthropic) are added up by
// their codec.
type Usage struct {
	Input          int64 `json:"input"`
	CacheRead      int64 `json:"cache_read,omitempty"`
	CacheReadAudio int64 `json:"cache_read_audio,omitempty"`
	CacheWrite     int64 `json:"cache_write,omitempty"`
	CacheWrite1h   int64 `json:"cache_write_1h,omitempty"`
	InputAudio     int64 `json:"input_audio,omitempty"`
	Output         int64 `json:"output"`
	Reasoning      int64 `json:"reasoning,omitempty"`
	OutputAudio    int64 `json:"output_audio,omitempty"`

	Images      int64 `json:"images,omitempty"`       // made or edited
	AudioMillis int64 `json:"audio_millis,omitempty"` // of sound transcribed, translated or spoken
	Characters  int64 `json:"characters,omitempty"`   // of text to speak
	SearchUnits int64 `json:"search_units,omitempty"` // of a rerank, as the provider counts them

	// CapacityNanos is the part of the time of a target that costs by the hour,
	// in nanoseconds.
	CapacityNanos int64 `json:"capacity_ns,omitempty"`

	// Tier is the service tier that served the request, in the provider's own
	// word ("flex", "priority", "batch", ...); empty where it does not say. It
	// decides the price. A sum over different tiers has the tier "mixed".
	Tier   string      `json:"tier,omitempty"`
	Source UsageSource `json:"source,omitempty"`
}

// TierMixed is the tier of a sum over several.
const TierMixed = "mixed"

// Total is the number of tokens read and written.
func (u Usage) Total() int64 { return u.Input + u.Output }

// HasUnits reports whether anything but tokens was used.
func (u *Usage) HasUnits() bool {
	return u.Images|u.AudioMillis|u.Characters|u.SearchUnits|u.CapacityNanos != 0
}

// Add returns the sum of two usages; the weaker source wins.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Input:          u.Input + v.Input,
		CacheRead:      u.CacheRead + v.CacheRead,
		CacheReadAudio: u.CacheReadAudio + v.CacheReadAudio,
		CacheWrite:     u.CacheWrite + v.CacheWrite,
		CacheWrite1h:   u.CacheWrite1h + v.CacheWrite1h,
		InputAudio:     u.InputAudio + v.InputAudio,
		Output:         u.Output + v.Output,
		Reasoning:      u.Reasoning + v.Reasoning,
		OutputAudio:    u.OutputAudio + v.OutputAudio,
		Images:         u.Images + v.Images,
		AudioMillis:    u.AudioMillis + v.AudioMillis,
		Characters:     u.Characters + v.Characters,
		SearchUnits:    u.SearchUnits + v.SearchUnits,
		CapacityNanos:  u.CapacityNanos + v.CapacityNanos,
		Tier:           bothTiers(&u, &v),
		Source:         weaker(u.Source, v.Source),
	}
}

// bothTiers is the tier of a sum. What consumed nothing has no say.
func bothTiers(u, v *Usage) string {
	switch {
	case u.Tier == v.Tier, v.idle():
		return u.Tier
	case u.idle():
		return v.Tier
	}
	return TierMixed
}

func (u *Usage) idle() bool { return u.Input == 0 && u.Output == 0 && !u.HasUnits() }

func weaker(a, b UsageSource) UsageSource {
	switch {
	case a == "" || a == UsageNone:
		return b
	case b == "" || b == UsageNone:
		return a
	case a == UsageEstimated || b == UsageEstimated:
		return UsageEstimated
	case a == UsageTapped || b == UsageTapped:
		return UsageTapped
	}
	return a
}
