package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secretive matches what may be a secret: a long run of key characters, or one
// of the prefixes that providers give their keys. A line with one is not shown.
var secretive = regexp.MustCompile(`(?i)sk-|bearer|password|://[^\s/]*@|[A-Za-z0-9_\-+/=]{20,}`)

// reference matches the harmless long words of a config.
var reference = regexp.MustCompile(`(env:|file:)[^\s,}\]]*|https?://[^\s,}\]@]*(?:[\s,}\]]|$)`)

// excerpt shows a line of the file with a caret below the column. It shows
// nothing of a line that may hold a secret.
func (d *decoder) excerpt(line, col int) string {
	if line < 1 || line > len(d.lines) {
		return ""
	}
	text := strings.TrimRight(d.lines[line-1], " \r")
	runes := []rune(text) // as columns count
	if strings.TrimSpace(text) == "" || len(text) > 200 || col-1 > len(runes) || !printable(text) || secretive.MatchString(reference.ReplaceAllString(text, "")) {
		return ""
	}
	number := fmt.Sprintf("%5d | ", line)
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(runes[:col-1]))
	return number + text + "\n" + strings.Repeat(" ", len(number)-2) + "| " + pad + "^"
}

// printable reports whether a line does nothing to a terminal but stand there.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r != '\t' && unicode.IsControl(r) })
}
