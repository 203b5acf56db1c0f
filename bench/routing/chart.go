package main

import (
	"fmt"
	"html"
	"strings"

	"tailplane/internal/replay"
)

// Sizes of a chart, in its own units.
const (
	chartWidth = 720
	barHeight  = 22
	labelWidth = 260
	topHeight  = 34
)

// mark is a bar of a chart.
type mark struct {
	name  string
	value float64
	ci    replay.Interval
	ours  bool
}

// marksOf are the mean first tokens of a section.
func marksOf(p *played) (out []mark) {
	for i := range p.results {
		r := &p.results[i]
		out = append(out, mark{r.Policy, r.TTFT.Mean, r.Detail.CI["ttft_mean"], strings.HasPrefix(r.Policy, "auto")})
	}
	return out
}

// chart draws figures as bars with their intervals. The colours are seen on white and
// on black.
func chart(title, unit string, marks []mark) string {
	most := 0.0
	for _, m := range marks {
		most = max(most, m.value, m.ci.High)
	}
	height := topHeight + barHeight*len(marks) + 10
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12" role="img">`+"\n", chartWidth, height, chartWidth, height)
	fmt.Fprintf(&b, `<title>%s</title>`+"\n", html.EscapeString(title))
	fmt.Fprintf(&b, `<text x="4" y="18" fill="#7a7a7a">%s: %s</text>`+"\n", html.EscapeString(title), html.EscapeString(unit))
	for i := range marks {
		drawBar(&b, &marks[i], topHeight+barHeight*i, most)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawBar(b *strings.Builder, m *mark, y int, most float64) {
	const room = chartWidth - labelWidth - 70
	at := func(v float64) float64 { return labelWidth + room*max(0, v)/most }
	colour := "#8a97a6"
	if m.ours {
		colour = "#2f7ed8"
	}
	middle := float64(y) + barHeight/2
	fmt.Fprintf(b, `<text x="%d" y="%.0f" text-anchor="end" fill="#7a7a7a">%s</text>`, labelWidth-8, middle+4, html.EscapeString(m.name))
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, labelWidth, y+3, at(m.value)-labelWidth, barHeight-6, colour)
	ci := m.ci
	if ci.High > ci.Low {
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8" stroke="#c0504d" fill="none"/>`, at(ci.Low), middle, at(ci.High), at(ci.Low), middle-4, at(ci.High), middle-4)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.0f" fill="#7a7a7a">%s</text>`+"\n", at(max(m.value, ci.High))+6, middle+4, short(m.value))
}
