package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"pgregory.net/rapid"
)

// frame is a frame as a test compares it.
type frame struct {
	name, data string
	exception  bool
}

// readFrames reads src to its end, as readAll does for server-sent events.
func readFrames(t failer, src io.Reader, input []byte, limit int) (out []frame, err error) {
	var r EventReader
	r.ResetFrames(src, EventStream, limit)
	var raws []byte
	for err == nil {
		err = r.Fill()
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			if !bytes.Equal(r.Buffered()[ev.Offset:ev.Offset+len(ev.Raw)], ev.Raw) {
				t.Fatalf("Raw is not at %d", ev.Offset)
			}
			raws = append(raws, ev.Raw...)
			out = append(out, frame{string(ev.Name), string(ev.Data), ev.Exception})
		}
	}
	if got := append(raws, r.Rest()...); !bytes.HasPrefix(input, got) || errors.Is(err, io.EOF) && len(got) != len(input) {
		t.Fatalf("Raws and Rest are %d bytes of %d: %v", len(got), len(input), err)
	}
	return out, err
}

// theirs encodes a message with the SDK's encoder.
func theirs(t failer, headers eventstream.Headers, payload []byte) []byte {
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, eventstream.Message{Headers: headers, Payload: payload}); err != nil {
		t.Fatalf("the SDK's encoder: %v", err)
	}
	return b.Bytes()
}

func text(name, value string) eventstream.Header {
	return eventstream.Header{Name: name, Value: eventstream.StringValue(value)}
}

func TestOurFramesAreReadByTheSDK(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(0, 40, 40).Draw(t, "name")
		payload := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload")
		failed := rapid.Bool().Draw(t, "exception")
		write, header, kind := AppendFrame, ":event-type", "event"
		if failed {
			write, header, kind = AppendException, ":exception-type", "exception"
		}
		ours := write([]byte("before"), name, payload)[len("before"):]
		m, err := eventstream.NewDecoder().Decode(bytes.NewReader(ours), nil)
		if err != nil {
			t.Fatalf("the SDK's decoder: %v", err)
		}
		for h, want := range map[string]string{header: name, ":message-type": kind, ":content-type": "application/json"} {
			if got := m.Headers.Get(h); got == nil || got.String() != want {
				t.Fatalf("header %s is %v, want %q", h, got, want)
			}
		}
		if !bytes.Equal(m.Payload, payload) {
			t.Fatalf("payload %q, want %q", m.Payload, payload)
		}
		got, err := readFrames(t, bytes.NewReader(ours), ours, 0)
		if err != io.EOF || len(got) != 1 || got[0] != (frame{name, string(payload), failed}) {
			t.Fatalf("we read %v, %v", got, err)
		}
	})
}

// drawHeaders draws headers of every type around those that make an event.
func drawHeaders(t *rapid.T, essential ...eventstream.Header) eventstream.Headers {
	values := rapid.SampledFrom([]eventstream.Value{
		eventstream.BoolValue(true), eventstream.BoolValue(false), eventstream.Int8Value(-3), eventstream.Int16Value(9),
		eventstream.Int32Value(1 << 20), eventstream.Int64Value(-1), eventstream.BytesValue("\x00\xff"), eventstream.BytesValue(""),
		eventstream.StringValue("s"), eventstream.StringValue(""), eventstream.TimestampValue(time.UnixMilli(99)),
		eventstream.UUIDValue{1},
	})
	hs := slices.Clone(essential)
	for i := range rapid.IntRange(0, 6).Draw(t, "more headers") {
		at := rapid.IntRange(0, len(hs)).Draw(t, "place")
		hs = slices.Insert(hs, at, eventstream.Header{Name: fmt.Sprintf("x%d", i), Value: values.Draw(t, "value")})
	}
	return hs
}

func TestFramesOfTheSDKAreReadTheSameForAnyCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []frame
		for range rapid.IntRange(0, 5).Draw(t, "frames") {
			name := rapid.StringN(0, 12, 12).Draw(t, "name")
			payload := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "payload")
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				stream = append(stream, theirs(t, drawHeaders(t, text(":message-type", "event"), text(":event-type", name)), payload)...)
				want = append(want, frame{name, string(payload), false})
			case 1:
				stream = append(stream, theirs(t, drawHeaders(t, text(":exception-type", name), text(":message-type", "exception")), payload)...)
				want = append(want, frame{name, string(payload), true})
			case 2:
				stream = append(stream, theirs(t, drawHeaders(t, text(":message-type", "error"), text(":error-code", name), text(":error-message", "why")), nil)...)
				want = append(want, frame{name, "why", true})
			case 3:
				stream = append(stream, theirs(t, nil, payload)...)
				want = append(want, frame{"", string(payload), false})
			}
		}
		checkFrameCuts(t, stream, want, rapid.SliceOf(rapid.Byte()).Draw(t, "cuts"))
	})
}

func checkFrameCuts(t failer, stream []byte, want []frame, sizes []byte) {
	cut, left := &pieces{}, stream
	for i := 0; len(left) > 0; i++ {
		n := len(left)
		if i < len(sizes) {
			n = min(n, int(sizes[i]))
		}
		cut.left = append(cut.left, left[:n])
		left = left[n:]
	}
	for how, src := range map[string]io.Reader{
		"as cut": cut, "whole": bytes.NewReader(stream), "one byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"error with the last bytes": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		if got, err := readFrames(t, src, stream, 0); err != io.EOF || !slices.Equal(got, want) {
			t.Fatalf("%s: %v, %v; want %v", how, got, err, want)
		}
	}
}

// someFrames are three frames, as an answer has them.
func someFrames() []byte {
	b := AppendFrame(nil, "messageStart", []byte(`{"role":"assistant"}`))
	b = AppendFrame(b, "messageStop", nil)
	return AppendException(b, "throttlingException", []byte(`{"message":"slow down"}`))
}

func TestEveryFlippedBitIsAnError(t *testing.T) {
	whole := someFrames()
	want, _ := readFrames(t, bytes.NewReader(whole), whole, 0)
	for bit := range 8 * len(whole) {
		bad := bytes.Clone(whole)
		bad[bit/8] ^= 1 << (bit % 8)
		got, err := readFrames(t, bytes.NewReader(bad), bad, 0)
		single, err1 := readFrames(t, iotest.OneByteReader(bytes.NewReader(bad)), bad, 0)
		var broken *FrameError
		if !errors.As(err, &broken) || !strings.Contains(err.Error(), "broken") {
			t.Errorf("bit %d: %v", bit, err)
		}
		if len(got) >= len(want) || !slices.Equal(got, want[:len(got)]) || !slices.Equal(got, single) || err.Error() != err1.Error() {
			t.Errorf("bit %d: read %v, byte by byte %v, %v", bit, got, single, err1)
		}
	}
}

func TestAStreamThatEndsInsideAFrameWasCut(t *testing.T) {
	whole := someFrames()
	ends := map[int]bool{0: true}
	for at := 0; at < len(whole); {
		at += int(whole[at+2])<<8 | int(whole[at+3])
		ends[at] = true
	}
	for n := range len(whole) + 1 {
		for _, src := range []io.Reader{bytes.NewReader(whole[:n]), iotest.DataErrReader(bytes.NewReader(whole[:n]))} {
			want := io.ErrUnexpectedEOF
			if ends[n] {
				want = io.EOF
			}
			if _, err := readFrames(t, src, whole[:n], 0); err != want {
				t.Errorf("%d of %d bytes: %v, want %v", n, len(whole), err, want)
			}
		}
	}
}

// sealed is a frame with right checksums, whatever its lengths and headers.
func sealed(size, headers uint32, rest string) []byte {
	b := sum(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, size), headers))
	return sum(append(b, rest...))
}

func TestAFrameThatContradictsItselfIsAnError(t *testing.T) {
	for what, c := range map[string]struct {
		in    []byte
		words string
	}{
		"shorter than a frame":       {sealed(15, 0, ""), "lengths"},
		"no length":                  {sealed(0, 0, ""), "lengths"},
		"more headers than frame":    {sealed(20, 5, "abcd"), "lengths"},
		"headers without end":        {sealed(1<<30, 1<<29, ""), "lengths"},
		"a header without name":      {sealed(19, 3, "\x00\x00x"), "headers"},
		"a name without end":         {sealed(18, 2, "\x05a"), "headers"},
		"a header without a type":    {sealed(18, 2, "\x01a"), "headers"},
		"an unknown type":            {sealed(19, 3, "\x01a\x0a"), "headers"},
		"a number cut short":         {sealed(20, 4, "\x01a\x04\x00"), "headers"},
		"a text without its length":  {sealed(20, 4, "\x01a\x07\x00"), "headers"},
		"a text cut short":           {sealed(22, 6, "\x01a\x07\x00\x02x"), "headers"},
		"a second header cut short":  {sealed(20, 4, "\x01a\x00\x01"), "headers"},
		"a UUID with half its bytes": {sealed(27, 11, "\x01a\x0912345678"), "headers"},
	} {
		got, err := readFrames(t, bytes.NewReader(c.in), c.in, 0)
		if broken, ok := errors.AsType[*FrameError](err); !ok || !strings.Contains(broken.Reason, c.words) || len(got) > 0 {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
}

func TestALargeFrameIsRefusedBeforeItComes(t *testing.T) {
	whole := AppendFrame(nil, "e", bytes.Repeat([]byte("x"), 1000))
	if got, err := readFrames(t, bytes.NewReader(whole), whole, len(whole)); err != io.EOF || len(got) != 1 {
		t.Errorf("a frame as large as the limit: %d, %v", len(got), err)
	}
	if _, err := readFrames(t, bytes.NewReader(whole[:preludeSize]), whole, len(whole)-1); err != ErrEventTooLarge {
		t.Errorf("a frame above the limit: %v", err)
	}
}

func TestFramesAllocateNothing(t *testing.T) {
	src := &repeat{chunk: AppendFrame(nil, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":"hello"}}`))}
	var r EventReader
	r.ResetFrames(src, EventStream, 0)
	_ = r.Fill()
	if n := testing.AllocsPerRun(100, func() {
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			if string(ev.Name) != "contentBlockDelta" {
				t.Fatalf("%q", ev.Name)
			}
		}
		if err := r.Fill(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for each frame", n)
	}
}

// BenchmarkFrames reads frames of a text delta, one per read.
func BenchmarkFrames(b *testing.B) {
	chunk := AppendFrame(nil, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":"hello"},"p":"abcdefghijk"}`))
	src := &repeat{chunk: chunk}
	var r EventReader
	r.ResetFrames(src, EventStream, 0)
	b.ReportAllocs()
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if err := r.Fill(); err != nil {
			b.Fatal(err)
		}
		for _, ok := r.Next(); ok; _, ok = r.Next() {
		}
	}
}

// FuzzFrames checks that what the reader accepts the SDK reads in the same way, and that
// every cut gives the same.
func FuzzFrames(f *testing.F) {
	f.Add(someFrames(), byte(3))
	f.Add(sealed(27, 11, "\x01a\x0912345678"), byte(200))
	f.Add(sealed(1<<30, 1<<29, ""), byte(1))
	f.Add(theirs(f, eventstream.Headers{text(":message-type", "error"), text(":error-code", "c")}, nil), byte(9))
	f.Fuzz(func(t *testing.T, in []byte, limit byte) {
		most := 16 * int(limit)
		whole, err := readFrames(t, bytes.NewReader(in), in, most)
		single, err1 := readFrames(t, iotest.OneByteReader(bytes.NewReader(in)), in, most)
		if !slices.Equal(whole, single) || err.Error() != err1.Error() {
			t.Fatalf("whole %v, %v; byte by byte %v, %v", whole, err, single, err1)
		}
		src, dec := bytes.NewReader(in), eventstream.NewDecoder()
		for i, ours := range whole {
			m, err := dec.Decode(src, nil)
			if err != nil {
				t.Fatalf("frame %d: the SDK says %v", i, err)
			}
			if !ours.exception && string(m.Payload) != ours.data {
				t.Fatalf("frame %d: the SDK has %q, we %q", i, m.Payload, ours.data)
			}
		}
	})
}

// sum appends the checksum of b to it.
func sum(b []byte) []byte { return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }
