package wire

import (
	"testing"

	"golang.org/x/sys/cpu"
)

func TestHitsAVX2(t *testing.T) {
	if !cpu.X86.HasAVX2 {
		t.Skip("this processor has no AVX2")
	}
	checkHits(t, hitsAVX2, hitsWithoutEscapes)
}
