package rules

import (
	"strings"
	"testing"
	"time"
)

var facts = Facts{
	Model: "chat", Customer: "acme", Team: "blue", Key: "app", Tags: []string{"batch", "eu"}, Operation: "generate", Dialect: "chat",
	Stream: true, Bytes: 4000, InputTokens: 1000, MaxTokens: 200,
}

func TestConditionsHold(t *testing.T) {
	facts := facts
	facts.At(time.Date(2026, 11, 29, 23, 30, 0, 0, time.FixedZone("", 3600)))
	for text, want := range map[string]bool{
		`customer == "acme" && input_tokens > 800`: true,
		`customer in ["acme", "zeta"]`:             true,
		`"batch" in tags`:                          true,
		`"us" in tags`:                             false,
		`hour >= 22 and weekday == "sun"`:          true,
		`hour == 23`:                               false, // hours are UTC
		`date >= "2026-12-01"`:                     false,
		`model matches "^ch" and not stream`:       false,
		`any(tags, # startsWith "e")`:              true,
		`max_tokens == 0`:                          false,
		`true`:                                     true,
	} {
		c, err := Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got, err := c.Holds(&facts); got != want || err != nil {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
}

func TestWhatIsWrongIsSaidWhenItIsCompiled(t *testing.T) {
	for text, want := range map[string]string{
		`custmer == "acme"`:       "unknown name custmer at column 1",
		`hour == "three"`:         "mismatched types int and string) at column 6",
		`input_tokens`:            "expected bool, but got int",
		`customer ==`:             "unexpected token EOF",
		strings.Repeat("x", 5000): "longer than 4096 bytes",
	} {
		if _, err := Compile(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}

func TestAnErrorInTheMiddleDoesNotHold(t *testing.T) {
	c, err := Compile(`tags[7] == "x"`)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := c.Holds(&facts); holds || err == nil {
		t.Errorf("%v %v", holds, err)
	}
}

func FuzzCompileAndHold(f *testing.F) {
	f.Add(`customer == "acme"`)
	f.Add(`any(tags, # in [1..9])`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 200 || strings.Contains(text, "..") || strings.Contains(text, "repeat") {
			return // ranges are bounded by the language's own memory budget, slowly
		}
		if c, err := Compile(text); err == nil {
			_, _ = c.Holds(&facts)
		}
	})
}

func BenchmarkHolds(b *testing.B) {
	c, err := Compile(`customer == "acme" && input_tokens > 800 && "batch" in tags`)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, _ := c.Holds(&facts); !ok {
			b.Fatal("it does not hold")
		}
	}
}
