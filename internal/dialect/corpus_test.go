package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest/corpus"
)

// The corpus tests hold every codec to the six laws of package dialect over
// recorded traffic with real providers. The recordings stay where they are:
//
//	go test ./internal/dialect -run Corpus -v
//	TAILPLANE_CORPUS=DIR go test ./... -run Corpus -v
//
// With -v each run ends with the counts by folder, dialect and kind, and one
// line that begins with "corpus:". Without recordings the tests are skipped.
//
// A law is never loosened for a recording. What truly violates its own protocol
// stands by name in the table violations.

func TestCorpusHoldsTheLaws(t *testing.T) {
	dir, ok := corpus.Dir()
	if !ok {
		t.Skip("no recordings: set TAILPLANE_CORPUS, or put them at ../shared/corpus beside the repository")
	}
	recordings, report, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range report.Unreadable {
		t.Errorf("unreadable: %v", err)
	}
	book := newLedger()
	samples := choose(book, recordings)
	for range report.Empty {
		book.leaveOut("empty file")
	}
	laws := []struct {
		name string
		hold func(*testing.T, []sample)
	}{
		{"1 a request survives the round trip", requestRoundTrip},
		{"1 an answer survives the round trip", replyRoundTrip},
		{"1 a stream survives the round trip", streamRoundTrip},
		{"1 what is read in used memory is what is read in new", memoryIsForgotten},
		{"2 splice changes only what it names", spliceIsExact},
		{"3 a translated request loses nothing silently", requestTranslation},
		{"3 a translated answer loses nothing silently", replyTranslation},
		{"3 a translated stream loses nothing silently", streamTranslation},
		{"4 any cutting gives the same events", cuttingIsInvisible},
		{"5 the tap sees the usage that decoding finds", tapSeesUsage},
		{"6 an error is told in every dialect", errorsAreTold},
	}
	t.Run("law", func(t *testing.T) {
		for _, law := range laws {
			t.Run(law.name, func(t *testing.T) {
				t.Parallel()
				law.hold(t, samples)
			})
		}
	})
	t.Log("\n" + book.table())
	fmt.Println(book.line())
}

// kind says what of a recording a law looks at.
type kind string

const (
	asRequest kind = "request"
	asReply   kind = "reply"
	asStream  kind = "stream"
	asError   kind = "error"
)

// sample is a recording that speaks one of our dialects, with what of it can be
// used.
type sample struct {
	*corpus.Recording
	surface dialect.Surface
	codec   dialect.Codec // nil for embeddings
	request bool          // Request is a call of its dialect
	answer  kind          // what Body is; empty when it is of no use
}

// call decodes the request. What a dialect says in the path is filled in, as the
// gateway does.
func (s *sample) call() (*llm.Call, error) {
	call, err := dialect.ReadCall(s.codec, s.Request)
	if err == nil && s.Surface == llm.Converse {
		_, rest, _ := strings.Cut(s.Path, "/model/")
		name, _, _ := strings.Cut(rest, "/converse")
		call.Model, _ = url.PathUnescape(name)
		call.Stream = strings.HasSuffix(s.Path, "-stream")
	}
	if err == nil && s.Surface == llm.Gemini {
		address, method, _ := strings.Cut(s.Path, ":")
		call.Model = address[strings.LastIndex(address, "/")+1:]
		call.Stream = strings.HasPrefix(method, "stream")
	}
	return call, err
}

// events are the answer as server-sent events, whatever its frame.
func (s *sample) events() []byte {
	if s.Surface != llm.Gemini {
		return s.Body
	}
	text, err := io.ReadAll(dialect.NewGeminiArrayReader(bytes.NewReader(s.Body)))
	if err != nil {
		return s.Body
	}
	return text
}

// decodeSaid decodes a translated request. A dialect that says model and stream in
// the path is given those that the path would have.
func decodeSaid(target dialect.Codec, body []byte, call *llm.Call) (*llm.Call, error) {
	got, err := dialect.ReadCall(target, body)
	if err == nil && (target.Name() == llm.Gemini || target.Name() == llm.Converse) {
		got.Model, got.Stream = call.Model, call.Stream
	}
	return got, err
}

// violations are recordings, by the end of their name, that break the protocol
// they claim to follow: what is left out, and why.
var violations = []struct {
	file  string
	kinds []kind
	why   string
}{
	{
		"/parallel-tool-call-wrapper.1.chunks.txt",
		[]kind{asStream},
		"two of its events are no JSON: a closing brace is missing",
	},
}

// refused are streams that violate their protocol in a way that their codec
// must notice: decoding ends in an error with these words. The other laws hold
// for what came before it.
var refused = []struct{ file, words string }{
	{
		// Two answers in one stream: no client could replay such a turn.
		"/spliced-message-start.chunks.txt", "a second message begins before the first has ended",
	},
}

func refusal(r *corpus.Recording) string {
	for _, v := range refused {
		if strings.HasSuffix(r.File, v.file) {
			return v.words
		}
	}
	return ""
}

func violation(r *corpus.Recording, k kind) string {
	for _, v := range violations {
		if strings.HasSuffix(r.File, v.file) && slices.Contains(v.kinds, k) {
			return v.why
		}
	}
	return ""
}

// choose picks what the laws can be held over and notes what is left out.
func choose(book *ledger, recordings []corpus.Recording) []sample {
	var out []sample
	for i := range recordings {
		r := &recordings[i]
		if r.Surface == "" {
			book.leaveOut(r.Other)
			continue
		}
		if i%corpusShare != 0 {
			book.leaveOut("left to the run without the race detector")
			continue
		}
		s := sample{Recording: r, surface: dialect.For(r.Surface), codec: dialect.CodecFor(r.Surface)}
		why := unusableRequest(&s)
		s.request = why == ""
		book.note(r, asRequest, why)
		s.answer, why = answerOf(&s)
		k := s.answer
		if why != "" {
			s.answer = ""
		}
		book.note(r, k, why)
		if s.request || s.answer != "" {
			book.ran++
			out = append(out, s)
		} else {
			book.leaveOut(why)
		}
	}
	return out
}

// unusableRequest says why the request is of no use; empty when it is.
func unusableRequest(s *sample) string {
	if s.Request == nil {
		return "no request recorded"
	}
	if why := violation(s.Recording, asRequest); why != "" {
		return why
	}
	if s.codec == nil || s.Status < 400 {
		return ""
	}
	if _, err := s.call(); err != nil {
		return "a request that its provider refused as malformed"
	}
	return ""
}

func answerOf(s *sample) (k kind, why string) {
	switch {
	case s.Status >= 400:
		k = asError
	case s.Streamed:
		k = asStream
	case hasMember(s.Body, "error") && !hasMember(s.Body, answerMembers...):
		k = asError // under a status of success
	default:
		k = asReply
	}
	switch {
	case violation(s.Recording, k) != "":
		why = violation(s.Recording, k)
	case len(strings.TrimSpace(string(s.Body))) == 0:
		why = "no answer recorded"
	case k == asReply && !json.Valid(s.Body):
		why = "the answer is no JSON"
	case k == asReply && s.codec != nil && !hasMember(s.Body, answerMembers...):
		why = "the answer is no answer of its dialect"
	}
	return k, why
}

// answerMembers are those of which each answer has one.
var answerMembers = []string{"choices", "output", "content", "candidates", "promptFeedback"}

// hasMember reports whether a body is an object in which one of the members
// says something.
func hasMember(body []byte, names ...string) bool {
	var head map[string]json.RawMessage
	if json.Unmarshal(body, &head) != nil {
		return false
	}
	return slices.ContainsFunc(names, func(n string) bool { return head[n] != nil && string(head[n]) != "null" })
}

// ledger counts what ran and what was left out.
type ledger struct {
	ran     int
	left    map[string]int
	byKind  map[cell]*count
	reasons map[cell]map[string]int
}

type cell struct {
	folder  string
	surface llm.Dialect
	kind    kind
}

type count struct{ ran, skipped int }

func newLedger() *ledger {
	return &ledger{left: map[string]int{}, byKind: map[cell]*count{}, reasons: map[cell]map[string]int{}}
}

func (l *ledger) leaveOut(why string) { l.left[why]++ }

func (l *ledger) note(r *corpus.Recording, k kind, why string) {
	c := cell{r.Folder(), r.Surface, k}
	if l.byKind[c] == nil {
		l.byKind[c], l.reasons[c] = &count{}, map[string]int{}
	}
	if why == "" {
		l.byKind[c].ran++
		return
	}
	l.byKind[c].skipped++
	l.reasons[c][why]++
}

func (l *ledger) line() string {
	total := 0
	for _, n := range l.left {
		total += n
	}
	return fmt.Sprintf("corpus: %d recordings ran, %d skipped (%s)", l.ran, total, reasonsText(l.left))
}

func (l *ledger) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s %-12s %-8s %5s %7s  %s\n", "folder", "dialect", "kind", "ran", "skipped", "why")
	cells := slices.SortedFunc(maps.Keys(l.byKind), func(a, b cell) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	for _, c := range cells {
		n := l.byKind[c]
		fmt.Fprintf(&b, "%-18s %-12s %-8s %5d %7d  %s\n", c.folder, c.surface, c.kind, n.ran, n.skipped, reasonsText(l.reasons[c]))
	}
	return b.String()
}

func reasonsText(reasons map[string]int) string {
	var list []string
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		list = append(list, fmt.Sprintf("%s %d", why, reasons[why]))
	}
	return strings.Join(list, ", ")
}

// complaints reports failures of a law, the first ones in full.
type complaints struct {
	t *testing.T
	n int
}

// shown bounds how many failures of one law are printed.
const shown = 25

func (c *complaints) add(s *sample, format string, args ...any) {
	c.n++
	if c.n <= shown {
		c.t.Errorf("%s (%s): %s", s.Name(), s.Surface, fmt.Sprintf(format, args...))
	}
}

func (c *complaints) done(ran int) {
	c.t.Helper()
	if c.n > shown {
		c.t.Errorf("and %d more", c.n-shown)
	}
	if ran == 0 {
		c.t.Log("no recording for this law")
	}
	c.t.Logf("%d checked", ran)
}
