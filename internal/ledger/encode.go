package ledger

import (
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

	"tailplane/internal/llm"
)

// A record is a Protocol Buffers message as record.proto describes it, written
// by hand: without reflection, without allocation, and in a third of the bytes
// and of the time that JSON takes. A field added to the record gets a number in
// record.proto, a line here and one in decode.go: a test fails until it has them.

// The wire types that are used.
const (
	wireVarint = 0
	wireFixed  = 1
	wireBytes  = 2
)

// appendExchange appends the full record.
func appendExchange(b []byte, ex *Exchange) []byte {
	b = appendAsk(b, ex)
	b = putText(b, 4, ex.TraceID)
	b = putText(b, 8, ex.Client)
	b = putInt(b, 14, int64(ex.MaxTokens))
	b = putText(b, 15, ex.Reason)
	for i := range ex.Attempts {
		b = nest(b, 16)
		begin := len(b)
		b = closeNest(appendAttempt(b, &ex.Attempts[i]), begin)
	}
	for i := range ex.Losses {
		b = nest(b, 17)
		begin := len(b)
		b = putText(b, 1, ex.Losses[i].Feature)
		b = closeNest(putText(b, 2, ex.Losses[i].Detail), begin)
	}
	b = putText(b, 18, string(ex.Outcome))
	b = putInt(b, 19, int64(ex.Status))
	b = putText(b, 20, string(ex.Fault))
	b = putText(b, 21, ex.Message)
	b = putInt(b, 22, int64(ex.Admitted))
	b = putInt(b, 23, int64(ex.FirstToken))
	b = putInt(b, 24, int64(ex.Total))
	b = putInt(b, 25, int64(ex.Events))
	b = putInt(b, 26, int64(ex.ITLMax))
	b = putInt(b, 27, ex.SentBytes)
	sole := ex.isSole()
	if !sole {
		b = putUsage(b, 28, &ex.Usage)
		b = putInt(b, 29, ex.Cost)
		b = putText(b, 30, string(ex.PriceStatus))
	}
	b = putText(b, 31, ex.PriceVersion)
	b = putText(b, 36, ex.Session)
	b = putInt(b, 39, int64(ex.Queued))
	for i := range ex.Choice {
		b = nest(b, 40)
		begin := len(b)
		b = closeNest(appendChoice(b, &ex.Choice[i]), begin)
	}
	b = putInt(b, 41, int64(ex.ExpectedInput))
	b = putInt(b, 42, int64(ex.ExpectedOutput))
	b = putInt(b, 43, int64(ex.Among))
	b = putText(b, 44, ex.Policy)
	if !ex.Prefill.IsZero() {
		b = nest(b, 45)
		begin := len(b)
		b = closeNest(appendPrefill(b, &ex.Prefill), begin)
	}
	return putBool(b, 46, sole)
}

// isSole reports whether the exchange used and cost what its only attempt did, as most
// do: the record then says so instead of saying it twice.
func (ex *Exchange) isSole() bool {
	if len(ex.Attempts) != 1 {
		return false
	}
	a := &ex.Attempts[0]
	return a.Cost == ex.Cost && a.Priced == ex.PriceStatus && a.Usage == ex.Usage
}

// appendOpen appends what an admission records: who asks for what. It decodes
// into an Exchange like the full record.
func appendOpen(b []byte, ex *Exchange) []byte { return appendAsk(b, ex) }

func appendAsk(b []byte, ex *Exchange) []byte {
	b = putText(b, 1, ex.ID)
	b = putTime(b, 2, ex.Start)
	b = putText(b, 3, ex.Config)
	b = putText(b, 5, ex.Key)
	b = putText(b, 6, ex.Name)
	b = putText(b, 7, ex.Customer)
	b = putText(b, 9, string(ex.Op))
	b = putText(b, 10, string(ex.Dialect))
	b = putText(b, 11, ex.Model)
	b = putBool(b, 12, ex.Stream)
	b = putInt(b, 13, int64(ex.Bytes))
	b = putText(b, 32, ex.Team)
	b = putText(b, 33, ex.Organisation)
	b = putText(b, 34, ex.Attributed)
	for _, tag := range ex.Tags {
		b = nest(b, 35)
		begin := len(b)
		b = closeNest(append(b, strings.ToValidUTF8(tag, "\uFFFD")...), begin)
	}
	return putInt(b, 37, ex.Held)
}

func appendAttempt(b []byte, a *Attempt) []byte {
	b = putText(b, 1, a.Target)
	b = putText(b, 2, a.Kind)
	b = putText(b, 3, a.Model)
	b = putText(b, 4, string(a.Dialect))
	b = putText(b, 5, a.Lane)
	b = putText(b, 6, a.Why)
	b = putInt(b, 7, int64(a.Waited))
	b = putInt(b, 8, int64(a.Begin))
	b = putBool(b, 9, a.Reused)
	b = putInt(b, 10, int64(a.Connect))
	b = putInt(b, 11, int64(a.Head))
	b = putInt(b, 12, int64(a.FirstToken))
	b = putInt(b, 13, int64(a.Took))
	b = putInt(b, 14, int64(a.Status))
	b = putText(b, 15, a.Upstream)
	b = putText(b, 16, string(a.Stop))
	b = putText(b, 17, string(a.Fault))
	b = putText(b, 18, string(a.Phase))
	b = putText(b, 19, string(a.Retry))
	b = putInt(b, 20, int64(a.After))
	b = putText(b, 21, a.Code)
	b = putText(b, 22, a.Message)
	b = putUsage(b, 23, &a.Usage)
	b = putInt(b, 24, a.Cost)
	b = putText(b, 25, string(a.Priced))
	return putBool(b, 26, a.Spilled)
}

func putUsage(b []byte, field uint64, u *llm.Usage) []byte {
	b = nest(b, field)
	begin := len(b)
	b = putInt(b, 1, u.Input)
	b = putInt(b, 2, u.CacheRead)
	b = putInt(b, 3, u.CacheWrite)
	b = putInt(b, 4, u.CacheWrite1h)
	b = putInt(b, 5, u.InputAudio)
	b = putInt(b, 6, u.Output)
	b = putInt(b, 7, u.Reasoning)
	b = putInt(b, 8, u.OutputAudio)
	b = putText(b, 9, string(u.Source))
	b = putInt(b, 10, u.CacheReadAudio)
	if u.HasUnits() {
		b = putInt(b, 11, u.Images)
		b = putInt(b, 12, u.AudioMillis)
		b = putInt(b, 13, u.Characters)
		b = putInt(b, 14, u.SearchUnits)
		b = putInt(b, 16, u.CapacityNanos)
	}
	return closeNest(putText(b, 15, u.Tier), begin)
}

// mostTag is the most bytes that putTag appends.
const mostTag = 2

// putTag appends the number and the wire type of a field. Both fit into two
// bytes for every field there is.
func putTag(b []byte, field uint64, kind uint64) []byte {
	if tag := field<<3 | kind; tag < 0x80 {
		return append(b, byte(tag))
	} else {
		return append(b, byte(tag)|0x80, byte(tag>>7))
	}
}

func putInt(b []byte, field uint64, v int64) []byte {
	if v == 0 {
		return b
	}
	return binary.AppendUvarint(putTag(b, field, wireVarint), uint64(v))
}

func putBool(b []byte, field uint64, v bool) []byte {
	if !v {
		return b
	}
	return append(putTag(b, field, wireVarint), 1)
}

// putTime appends Unix nanoseconds, which reach to the year 2262.
func putTime(b []byte, field uint64, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return binary.LittleEndian.AppendUint64(putTag(b, field, wireFixed), uint64(t.UnixNano()))
}

// putText appends a text. What is no UTF-8, which only a caller can have sent,
// becomes the replacement character.
func putText(b []byte, field uint64, s string) []byte {
	if s == "" {
		return b
	}
	if len(s) < 0x80 && cap(b)-len(b) >= mostTag+1+len(s) {
		short := append(putTag(b, field, wireBytes), byte(len(s)))
		if whole := short[:len(short)+len(s)]; copyASCII(whole[len(short):], s) {
			return whole
		}
	}
	return putAnyText(b, field, s)
}

// putAnyText is putText for what is long, or not ASCII, or needs more room.
func putAnyText(b []byte, field uint64, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	b = binary.AppendUvarint(putTag(b, field, wireBytes), uint64(len(s)))
	return append(b, s...)
}

// copyASCII copies a text to as many bytes, and reports whether it is ASCII, as
// nearly all are. It is quicker than copying and utf8.ValidString with short ones: it
// takes eight bytes at a time, or four, and the last of them twice.
func copyASCII(dst []byte, s string) bool {
	n := len(s)
	switch {
	case n >= 8:
		high := word(s[n-8:])
		binary.LittleEndian.PutUint64(dst[n-8:], high)
		for i := 0; i < n-8; i += 8 {
			w := word(s[i:])
			binary.LittleEndian.PutUint64(dst[i:], w)
			high |= w
		}
		return high&0x8080808080808080 == 0
	case n >= 4:
		first, last := half(s), half(s[n-4:])
		binary.LittleEndian.PutUint32(dst, first)
		binary.LittleEndian.PutUint32(dst[n-4:], last)
		return (first|last)&0x80808080 == 0
	}
	high := byte(0)
	for i := range n {
		dst[i] = s[i]
		high |= s[i]
	}
	return high < utf8.RuneSelf
}

// half is the first four bytes of a text.
func half(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// word is the first eight bytes of a text; the compiler makes one load of it.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// nest begins a message inside of another; closeNest, which is told where it
// began, must follow. The length always takes three bytes, which the format
// allows and which hold two mebibytes.
func nest(b []byte, field uint64) []byte {
	return append(putTag(b, field, wireBytes), 0, 0, 0)
}

func closeNest(b []byte, begin int) []byte {
	n := len(b) - begin
	b[begin-3], b[begin-2], b[begin-1] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)
	return b
}
