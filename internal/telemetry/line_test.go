package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A line is what slog's own handlers write for the same members.
func TestLineIsWhatSlogWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]string{"text", "json"}).Draw(t, "format")
		at := time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "at")).UTC()
		level := rapid.SampledFrom([]slog.Level{slog.LevelInfo, slog.LevelWarn}).Draw(t, "level")
		text := rapid.OneOf(rapid.StringMatching(`[ -~]{0,12}`), rapid.String()).Draw(t, "text")
		took := time.Duration(rapid.OneOf(rapid.Int64Range(-1e3, 1e13), rapid.Int64Range(0, 1e7)).Draw(t, "took"))
		number := rapid.Int64().Draw(t, "number")

		var got, want bytes.Buffer
		l := NewLog(&got, format, nil)
		for range 2 { // the second uses the memory of the first
			got.Reset()
			n := l.Line(at, level, "request")
			n.Text("text", text)
			n.Duration("took", took)
			n.Int("number", number)
			n.Bool("yes", number > 0)
			n.Send()
		}
		r := slog.NewRecord(at, level, "request", 0)
		r.AddAttrs(slog.String("text", text), slog.Duration("took", took), slog.Int64("number", number), slog.Bool("yes", number > 0))
		if err := NewLog(&want, format, nil).Handler().Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		if format == "json" {
			if sameJSON(t, got.Bytes()) != sameJSON(t, want.Bytes()) {
				t.Fatalf("got  %swant %s", got.Bytes(), want.Bytes())
			}
			return
		}
		if got.String() != want.String() {
			t.Fatalf("got  %swant %s", got.Bytes(), want.Bytes())
		}
	})
}

// sameJSON is JSON as text that does not depend on how it was spelled: slog
// writes whole seconds without a fraction.
func sameJSON(t *rapid.T, line []byte) string {
	var v struct {
		Time             time.Time
		Level, Msg, Text string
		Took, Number     int64
		Yes              bool
	}
	if err := json.Unmarshal(line, &v); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return fmt.Sprint(v)
}

// BenchmarkLine is an access line as the gateway writes it.
func BenchmarkLine(b *testing.B) {
	l := NewLog(io.Discard, "text", nil)
	at := time.UnixMilli(1_795_000_000_123)
	b.ReportAllocs()
	for b.Loop() {
		n := l.Line(at, slog.LevelInfo, "request")
		n.Text("request", "req_06h2g3d8966mhm0m6s4sd60a3c")
		n.Text("key", "chat-backend")
		n.Text("dialect", "chat")
		n.Text("model", "gpt-5-mini")
		n.Text("target", "openai-eu")
		n.Int("attempts", 1)
		n.Text("outcome", "ok")
		n.Int("status", 200)
		n.Text("fault", "")
		n.Bool("stream", false)
		n.Duration("ttft", 4_029_991)
		n.Duration("took", 4_031_569)
		n.Int("input", 250)
		n.Int("output", 64)
		n.Int("cost_nano", 1_204_500)
		n.Text("pricing", "priced")
		n.Text("config", "1548ae286911")
		n.Send()
	}
}
