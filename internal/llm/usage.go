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

// Usage is what a request consumed: tokens, and other units where a provider
// counts those. Classes nest: Input contains
// CacheRead, CacheWrite and InputAudio; CacheWrite contains CacheWrite1h;
// Output contains Reasoning and OutputAudio. Dialects that report disjoint
// figures (Anthropic) are added up by their codec.
type Usage struct {
	Input        int64       `json:"input"`
	CacheRead    int64       `json:"cache_read,omitempty"`
	CacheWrite   int64       `json:"cache_write,omitempty"`
	CacheWrite1h int64       `json:"cache_write_1h,omitempty"`
	InputAudio   int64       `json:"input_audio,omitempty"`
	Output       int64       `json:"output"`
	Reasoning    int64       `json:"reasoning,omitempty"`
	OutputAudio  int64       `json:"output_audio,omitempty"`
	Images       int64       `json:"images,omitempty"`       // made
	AudioMillis  int64       `json:"audio_millis,omitempty"` // of sound, heard or said
	Characters   int64       `json:"characters,omitempty"`   // of text that was spoken
	SearchUnits  int64       `json:"search_units,omitempty"` // of reranking
	Tier         string      `json:"tier,omitempty"`         // service tier in the provider's word; it decides the price
	Source       UsageSource `json:"source,omitempty"`
}

// Total is the number of tokens read and written.
func (u Usage) Total() int64 { return u.Input + u.Output }

// Add returns the sum of two usages; the weaker source wins.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Input:        u.Input + v.Input,
		CacheRead:    u.CacheRead + v.CacheRead,
		CacheWrite:   u.CacheWrite + v.CacheWrite,
		CacheWrite1h: u.CacheWrite1h + v.CacheWrite1h,
		InputAudio:   u.InputAudio + v.InputAudio,
		Output:       u.Output + v.Output,
		Reasoning:    u.Reasoning + v.Reasoning,
		OutputAudio:  u.OutputAudio + v.OutputAudio,
		Images:       u.Images + v.Images,
		AudioMillis:  u.AudioMillis + v.AudioMillis,
		Characters:   u.Characters + v.Characters,
		SearchUnits:  u.SearchUnits + v.SearchUnits,
		Source:       weaker(u.Source, v.Source),
	}
}

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
