package importer

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// write is the file of ours.
func (im *importer) write(name string, models []*model) []byte {
	w := &writer{}
	w.line(0, "# Made from %s by `tailplane import litellm`. What could not be taken over", path.Base(word(name)))
	w.line(0, "# stands in the report of that run; `tailplane check` tells what is left to mend.")
	w.line(0, "version: 1")
	w.line(0, "targets:")
	for _, t := range im.targets {
		w.target(t)
	}
	if len(im.targets) == 0 {
		w.line(1, "sim: {kind: sim} # nothing else could be taken over")
	}
	if len(models) > 0 {
		w.line(0, "models:")
	}
	for _, m := range models {
		w.model(m)
	}
	if im.total > 0 || im.stream > 0 {
		w.line(0, "timeouts: %s", timeouts(im.stream, im.total))
	}
	var retry []string
	if im.attempts > 0 {
		retry = append(retry, "attempts: "+strconv.Itoa(im.attempts))
	}
	if im.backoff > 0 {
		retry = append(retry, "backoff: "+duration(im.backoff), "max_backoff: "+duration(max(im.backoff, 5*time.Second)))
	}
	if retry != nil {
		w.line(0, "retry: {%s}", strings.Join(retry, ", "))
	}
	w.line(0, "keys:")
	w.line(1, "required: true")
	if im.master != "" {
		w.line(1, "static: [{name: master, key: %s}]", quote(im.master))
	}
	return w.Bytes()
}

type writer struct{ bytes.Buffer }

func (w *writer) line(depth int, format string, args ...any) {
	w.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(w, format+"\n", args...)
}

// text writes a member that is not empty.
func (w *writer) text(depth int, name, value string) {
	if value != "" {
		w.line(depth, "%s: %s", name, quote(value))
	}
}

func (w *writer) target(t *target) {
	w.line(1, "%s:", quote(t.name))
	w.text(2, "kind", t.kind)
	w.text(2, "url", t.url)
	w.text(2, "region", t.region)
	w.text(2, "project", t.project)
	w.text(2, "api_version", t.apiVersion)
	if len(t.deployments) > 0 {
		w.line(2, "deployments: %s", flow(t.deployments))
	}
	w.text(2, "key", t.key)
	if t.authKind != "" {
		w.line(2, "auth: {%s: %s}", t.authKind, flow(t.auth))
	}
	if len(t.headers) > 0 {
		w.line(2, "headers: %s", flow(t.headers))
	}
	if t.inFlight != "" {
		w.line(2, "limits: {in_flight: %s}", t.inFlight)
	}
	var prices []field
	for _, p := range []field{
		{"input", t.price.Input},
		{"output", t.price.Output},
		{"cache_read", t.price.CacheRead},
		{"cache_write", t.price.CacheWrite},
		{"input_audio", t.price.InputAudio},
		{"output_audio", t.price.OutputAudio},
		{"images", t.price.Images},
		{"audio_hour", t.price.AudioHour},
		{"characters", t.price.Characters},
		{"searches", t.price.Searches},
	} {
		if p.value != "" {
			prices = append(prices, p)
		}
	}
	if prices != nil {
		w.line(2, "price: %s", flow(prices))
	}
}

func (w *writer) model(m *model) {
	w.line(1, "%s:", quote(m.name))
	if m.pool != nil {
		var pool []string
		for _, t := range m.pool {
			pool = append(pool, quote(t))
		}
		w.line(2, "pool: [%s]", strings.Join(pool, ", "))
		w.text(2, "served_as", m.servedAs)
		w.text(2, "policy", m.policy)
	} else {
		var route []string
		for _, s := range m.route {
			if s.weight > 0 {
				route = append(route, fmt.Sprintf("{to: %s, weight: %d}", quote(s.to), s.weight))
				continue
			}
			route = append(route, quote(s.to))
		}
		w.line(2, "route: [%s]", strings.Join(route, ", "))
	}
	var list []string
	for _, f := range m.fallback {
		if f.on != "" {
			list = append(list, fmt.Sprintf("{to: %s, on: [%s]}", quote(f.to), f.on))
			continue
		}
		list = append(list, quote(f.to))
	}
	if list != nil {
		w.line(2, "fallback: [%s]", strings.Join(list, ", "))
	}
	if m.first > 0 || m.total > 0 {
		w.line(2, "timeouts: %s", timeouts(m.first, m.total))
	}
}

func timeouts(first, total time.Duration) string {
	var out []string
	if first > 0 {
		out = append(out, "first_token: "+duration(first))
	}
	if total > 0 {
		out = append(out, "total: "+duration(total))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// flow is a mapping on one line.
func flow(fields []field) string {
	var out []string
	for _, f := range fields {
		out = append(out, quote(f.name)+": "+quote(f.value))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// bare are the texts that mean themselves without quotes.
var bare = regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*$`)

// words that are no text without quotes.
var reserved = regexp.MustCompile(`(?i)^(null|true|false|yes|no|on|off|y|n|~)$`)

// numbers are the same text with and without quotes.
var numbers = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

func quote(s string) string {
	if numbers.MatchString(s) || bare.MatchString(s) && !reserved.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
