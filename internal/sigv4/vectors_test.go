package sigv4

import (
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// suite is AWS's signing test suite, read in place.
const suite = "../../../shared/vectors/aws-signing-test-suite/tests/aws-signing-test-suite/v4"

// vector is one case of the suite.
type vector struct {
	dir     string
	Context struct {
		Credentials struct {
			ID     string `json:"access_key_id"`
			Secret string `json:"secret_access_key"`
			Token  string `json:"token"`
		}
		Normalize bool
		Region    string
		Service   string
		SignBody  bool `json:"sign_body"`
		Timestamp time.Time
		OmitToken bool `json:"omit_session_token"`
	}
}

func vectors(t *testing.T) []vector {
	t.Helper()
	dirs, _ := filepath.Glob(filepath.Join(suite, "*"))
	if len(dirs) == 0 {
		t.Skip("the AWS signing test suite is not beside the project (" + suite + ")")
	}
	var out []vector
	for _, dir := range dirs {
		v := vector{dir: dir}
		if err := json.Unmarshal([]byte(v.read(t, "context.json")), &v.Context); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func (v vector) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(v.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (v vector) scope() Scope {
	return Scope{v.Context.Timestamp, v.Context.Region, v.Context.Service}
}

// request reads a request file of the suite, whose paths hold raw spaces.
func (v vector) request(t *testing.T, name string) Request {
	t.Helper()
	head, body, _ := strings.Cut(v.read(t, name), "\n\n")
	lines := strings.Split(head, "\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	target := strings.TrimSuffix(rest, " HTTP/1.1")
	var fields []Field
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, " ") { // a folded value
			fields[len(fields)-1].Value += line
			continue
		}
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields = append(fields, Field{name, value})
		}
	}
	r := Request{Method: method, Header: each(fields), Payload: Hash([]byte(strings.TrimSuffix(body, "\n")))}
	r.Path, r.Query, _ = strings.Cut(target, "?")
	if !v.Context.Normalize {
		r.Paths = PathSegments
	}
	return r
}

func each(fields []Field) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, f := range fields {
			if !yield(f.Name, f.Value) {
				return
			}
		}
	}
}

// TestSignsEveryRequestOfTheSuite: the headers that Sign adds are those of the
// signed request of each case.
func TestSignsEveryRequestOfTheSuite(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(filepath.Base(v.dir), func(t *testing.T) {
			r := v.request(t, "request.txt")
			if v.Context.SignBody {
				before := r.Header
				r.Header = func(yield func(string, string) bool) {
					before(yield)
					yield("x-amz-content-sha256", r.Payload)
				}
			}
			c := Credentials{v.Context.Credentials.ID, v.Context.Credentials.Secret, v.Context.Credentials.Token}
			if v.Context.OmitToken {
				c.Token = "" // it is added once the request is signed
			}
			got := Sign(r, c, Derive(c.Secret, v.scope()), v.scope())
			want := map[string]string{}
			for name, value := range v.request(t, "header-signed-request.txt").Header {
				want[strings.ToLower(name)] = value
			}
			for _, f := range got {
				if want[f.Name] != f.Value {
					t.Errorf("%s:\n got %s\nwant %s", f.Name, f.Value, want[f.Name])
				}
			}
			if signature := strings.TrimSpace(v.read(t, "header-signature.txt")); !strings.HasSuffix(got[len(got)-1].Value, "Signature="+signature) {
				t.Errorf("not the signature %s", signature)
			}
		})
	}
}

// TestVerifiesEveryRequestOfTheSuite: both signed forms of each case are read,
// give the suite's canonical request and string to sign, and are accepted; with
// another key, another body or at another hour they are not.
func TestVerifiesEveryRequestOfTheSuite(t *testing.T) {
	for _, v := range vectors(t) {
		for _, form := range []string{"header", "query"} {
			t.Run(filepath.Base(v.dir)+"/"+form, func(t *testing.T) {
				r := v.request(t, form+"-signed-request.txt")
				if v.Context.OmitToken && form == "query" {
					at := strings.Index(r.Query, "&X-Amz-Security-Token=")
					r.Query = r.Query[:at] + r.Query[strings.Index(r.Query, "&X-Amz-Signature="):]
				}
				c, err := Parse(r)
				if err != nil {
					t.Fatal(err)
				}
				canonical, err := c.canonical(r)
				if err != nil {
					t.Fatal(err)
				}
				if want := v.read(t, form+"-canonical-request.txt"); string(canonical) != want {
					t.Errorf("canonical request:\n%s\nwant\n%s", canonical, want)
				}
				if got, want := stringToSign(canonical, c.Scope.stamp(), c.Scope.String()), v.read(t, form+"-string-to-sign.txt"); got != want {
					t.Errorf("string to sign:\n%s\nwant\n%s", got, want)
				}
				if want := strings.TrimSpace(v.read(t, form+"-signature.txt")); c.signature != want {
					t.Errorf("signature %s, want %s", c.signature, want)
				}
				key, now := Derive(v.Context.Credentials.Secret, c.Scope), v.Context.Timestamp
				if err := c.Verify(r, key, now.Add(4*time.Minute)); err != nil {
					t.Errorf("refused: %v", err)
				}
				other := r
				other.Payload = Hash([]byte("another body"))
				for what, err := range map[string]error{
					"another key":  c.Verify(r, Derive("x", c.Scope), now),
					"another body": c.Verify(other, key, now),
					"another hour": c.Verify(r, key, now.Add(61*time.Minute)),
				} {
					if err == nil {
						t.Errorf("%s is accepted", what)
					}
				}
			})
		}
	}
}
