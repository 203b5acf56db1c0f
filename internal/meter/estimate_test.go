package meter

import (
	"strings"
	"testing"
)

func TestEstimatePromptDoesNotReadPictures(t *testing.T) {
	picture := strings.Repeat("iVBORw0KGgo", 100_000)
	prose := strings.Repeat("some words of a document ", 1000)
	chinese := strings.Repeat("你好世界", 1000)
	escaped := strings.Repeat(`\u4f60`, 1000)
	cases := []struct {
		body string
		want int64
	}{
		{"", 0},
		{`{"messages":[{"role":"user","content":"` + prose + `"}]}`, EstimateTokens(len(prose) + 43)},
		{`{"url":"data:image/png;base64,` + picture + `"}`, EstimateTokens(len(`{"url":""}`)) + mediaTokens},
		{`{"a":"` + picture + `","b":"` + picture + `","c":"` + prose + `"}`, EstimateTokens(len(`{"a":"","b":"","c":""}`)+len(prose)) + 2*mediaTokens},
		{`{"content":"` + chinese + `"}`, EstimateTokens(len(chinese) + 14)},
		{`{"content":"` + escaped + `"}`, EstimateTokens(len(escaped) + 14)},
		{picture, EstimateTokens(len(picture))}, // no JSON; nothing is known
	}
	for i, c := range cases {
		if got := EstimatePrompt([]byte(c.body)); got != c.want {
			t.Errorf("%d: %d tokens, want %d", i, got, c.want)
		}
	}
	body := []byte(cases[3].body)
	if n := testing.AllocsPerRun(10, func() { EstimatePrompt(body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
