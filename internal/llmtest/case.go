package llmtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"tailplane/internal/wire"
)

// Case is one exchange, or a few in a row, as a file. Its sections, of which
// all but the first two may be missing:
//
//	config                the YAML of the real file; `keys:` defaults to no key
//	client.request        method and path, headers, an empty line, the body
//	client.leave          when the client closes its connection: 300ms after the request
//	client.response       what the client gets, in the same form
//	upstream.NAME.request what the host http://NAME is sent
//	upstream.NAME.response its script, see script.go
//	ledger                members that the record of the exchange has
//	outcomes              what was kept to learn from: source, model, score, customer
//
// A suffix .2 and on makes a second one: of an upstream its second request, of
// the client and the ledger its second exchange. A first line "@delay 5s" of
// a client's request lets time pass before it.
//
// An expectation names the headers that matter ("!name" for one that must not
// be there) and the whole body. The body is compared as it is; behind a line
// @json it is compared as JSON. AWS's frames are compared as the lines of frames.go. {{id}} stands for a request id, {{any}} for
// anything within a line, {{..}} for anything. In a client's response @took 1s
// 2s bounds the time since the request, and @aborted says that the connection
// ended before the answer did.
type Case struct {
	Name    string
	Config  string
	archive *txtar.Archive
}

// Load reads a case.
func Load(path string) (*Case, error) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		return nil, err
	}
	c := &Case{Name: path, archive: a}
	known := regexp.MustCompile(`^(config|(client\.(request|leave|response)|upstream\.[a-z0-9-]+\.(request|response)|ledger|outcomes)(\.\d+)?)$`)
	for _, f := range a.Files {
		if !known.MatchString(f.Name) {
			return nil, fmt.Errorf("%s: a case has no section %q", path, f.Name)
		}
	}
	if c.Config, _ = c.Section("config"); c.Config == "" {
		return nil, fmt.Errorf("%s: the case has no config", path)
	}
	return c, nil
}

// Section is the text of a section and whether it is there.
func (c *Case) Section(name string) (string, bool) {
	i := slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		return "", false
	}
	return string(c.archive.Files[i].Data), true
}

// Nth is the name of the nth section of a kind.
func Nth(name string, n int) string {
	if n == 1 {
		return name
	}
	return name + "." + strconv.Itoa(n)
}

// Upstreams are the scripts of each host.
func (c *Case) Upstreams() (map[string][]*Reply, error) {
	out := map[string][]*Reply{}
	for _, f := range c.archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "upstream."); ok {
			host, _, _ := strings.Cut(name, ".")
			out[host] = nil
		}
	}
	for host := range out {
		for n := 1; ; n++ {
			text, ok := c.Section(Nth("upstream."+host+".response", n))
			if !ok {
				break
			}
			r, err := ParseReply(text)
			if err != nil {
				return nil, fmt.Errorf("%s: upstream %s: %w", c.Name, host, err)
			}
			out[host] = append(out[host], r)
		}
	}
	return out, nil
}

// Request is what the client sends in its nth exchange, ready for the wire, and
// the time that passes before; false when there is no nth.
func (c *Case) Request(n int) (raw []byte, wait time.Duration, ok bool) {
	text, ok := c.Section(Nth("client.request", n))
	if !ok {
		return nil, 0, false
	}
	if rest, is := strings.CutPrefix(text, "@delay "); is {
		var amount string
		amount, text, _ = strings.Cut(rest, "\n")
		wait, _ = time.ParseDuration(amount)
	}
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	lines[0] += " HTTP/1.1"
	lower := strings.ToLower(head)
	if !strings.Contains(lower, "\nhost:") {
		lines = append(lines, "Host: 127.0.0.1:4600")
	}
	if !strings.Contains(lower, "\ncontent-length:") {
		lines = append(lines, "Content-Length: "+strconv.Itoa(len(body)))
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n" + body), wait, true
}

// Expect compares a message with the section that describes it. first is the
// status line or the request line as cases write it.
func (c *Case) Expect(section, first string, header map[string][]string, body []byte) error {
	text, ok := c.Section(section)
	if !ok {
		return nil
	}
	head, want, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	if want, _, _ := strings.Cut(lines[0], " @"); want != first {
		return fmt.Errorf("%s: %q, want %q\n%s", section, first, want, body)
	}
	for _, line := range lines[1:] {
		if err := expectHeader(line, header); err != nil {
			return fmt.Errorf("%s: %w\n%s", section, err, body)
		}
	}
	if rest, is := strings.CutPrefix(want, "@json\n"); is {
		if err := Subset(rest, body, true); err != nil {
			return fmt.Errorf("%s: %w\ngot %s", section, err, body)
		}
		return nil
	}
	if expectHeader("content-type: "+wire.EventStream.ContentType(), header) == nil {
		body = Frames(body)
	}
	got := string(body)
	if !strings.HasSuffix(got, "\n") {
		got += "\n" // a section of a file always ends with one
	}
	if want == "" && len(body) == 0 {
		return nil
	}
	if !pattern(want).MatchString(got) {
		return fmt.Errorf("%s: the body is\n%s\nwant\n%s", section, got, want)
	}
	return nil
}

// expectHeader checks one line of an expectation.
func expectHeader(line string, header map[string][]string) error {
	name, want, _ := strings.Cut(line, ":")
	absent := strings.HasPrefix(name, "!")
	var got []string
	for have, values := range header {
		if strings.EqualFold(have, strings.TrimPrefix(name, "!")) {
			got = values
		}
	}
	switch {
	case absent && len(got) > 0:
		return fmt.Errorf("header %s is there: %q", name[1:], got)
	case absent:
		return nil
	case !slices.ContainsFunc(got, pattern(strings.TrimSpace(want)).MatchString):
		return fmt.Errorf("header %s is %q, want %q", name, got, strings.TrimSpace(want))
	}
	return nil
}

// Took is the bounds that a client's response states, and whether it does.
func (c *Case) Took(n int) (low, high time.Duration, ok bool) {
	text, _ := c.Section(Nth("client.response", n))
	first, _, _ := strings.Cut(text, "\n")
	_, rest, ok := strings.Cut(first, "@took ")
	if !ok {
		return 0, 0, false
	}
	f := strings.Fields(rest)
	low, err := time.ParseDuration(f[0])
	if err != nil {
		return 0, 0, false
	}
	high = low
	if len(f) > 1 && !strings.HasPrefix(f[1], "@") {
		high, err = time.ParseDuration(f[1])
	}
	return low, high, err == nil
}

// Aborted reports whether the nth answer is to end before its end.
func (c *Case) Aborted(n int) bool {
	text, _ := c.Section(Nth("client.response", n))
	first, _, _ := strings.Cut(text, "\n")
	return strings.Contains(first, "@aborted")
}

// pattern makes an expectation with placeholders matchable.
func pattern(text string) *regexp.Regexp {
	q := regexp.QuoteMeta(text)
	for mark, expr := range map[string]string{
		"{{id}}": `req_[0-9a-z]{26}`, "{{any}}": `[^\n]*?`, "{{..}}": `(?s:.*?)`,
	} {
		q = strings.ReplaceAll(q, regexp.QuoteMeta(mark), expr)
	}
	return regexp.MustCompile(`\A` + q + `\z`)
}

// Subset reports where got, as JSON, lacks what want says. Lists have the same
// length; objects may have more members, unless exact.
func Subset(want string, got []byte, exact bool) error {
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		return fmt.Errorf("the expectation is not JSON: %w", err)
	}
	if err := json.Unmarshal(got, &g); err != nil {
		return fmt.Errorf("this is not JSON: %w", err)
	}
	return subset("", w, g, exact)
}

func subset(at string, want, got any, exact bool) error {
	differ := fmt.Errorf("%s is %v, want %v", at, got, want)
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return differ
		}
		if exact && len(g) != len(w) {
			return fmt.Errorf("%s has members %q, want %q", at, slices.Sorted(maps.Keys(g)), slices.Sorted(maps.Keys(w)))
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			if w[name] == "{{absent}}" && g[name] == nil {
				continue
			}
			if err := subset(at+"."+name, w[name], g[name], exact); err != nil {
				return err
			}
		}
		return nil
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return differ
		}
		for i := range w {
			if err := subset(fmt.Sprintf("%s[%d]", at, i), w[i], g[i], exact); err != nil {
				return err
			}
		}
		return nil
	case string:
		if g, ok := got.(string); ok && pattern(w).MatchString(g) {
			return nil
		}
		return differ
	}
	if want != got {
		return differ
	}
	return nil
}

// Fill writes a section into the file of the case, for a person to review.
func (c *Case) Fill(section, text string) error {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	i := slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == section })
	if i < 0 {
		c.archive.Files = append(c.archive.Files, txtar.File{Name: section})
		i = len(c.archive.Files) - 1
	}
	c.archive.Files[i].Data = []byte(text)
	return os.WriteFile(c.Name, txtar.Format(c.archive), 0o644)
}
