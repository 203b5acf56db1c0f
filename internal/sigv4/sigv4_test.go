package sigv4

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

var bedrock = Scope{noon, "eu-central-1", "bedrock"}

func sample(body []byte) Request {
	return Request{
		Method: "POST", Path: "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse", Payload: Hash(body),
		Header: each([]Field{
			{"host", "bedrock-runtime.eu-central-1.amazonaws.com"},
			{"content-type", "application/json"},
			{"accept", "application/json"},
			{"user-agent", "tailplane"},
		}),
	}
}

// signed is r as it arrives at the other side.
func signed(r Request, added []Field) Request {
	before := r.Header
	r.Header = func(yield func(string, string) bool) {
		for name, value := range before {
			if !yield(name, value) {
				return
			}
		}
		each(added)(yield)
	}
	return r
}

// TestModelPathsAreSignedAsTheServiceSeesThem: what is escaped on the wire is
// escaped once more, and what is not is escaped once.
func TestModelPathsAreSignedAsTheServiceSeesThem(t *testing.T) {
	cases := []struct {
		path  string
		rule  Paths
		canon string
	}{
		{"/model/anthropic.claude-v2:1/converse", PathNormal, "/model/anthropic.claude-v2%3A1/converse"},
		{"/model/anthropic.claude-v2%3A1/converse", PathNormal, "/model/anthropic.claude-v2%253A1/converse"},
		{"/model/arn%3Aaws%3Abedrock%3Aeu%3A1%3Ainference-profile%2Fx/invoke", PathSegments, "/model/arn%253Aaws%253Abedrock%253Aeu%253A1%253Ainference-profile%252Fx/invoke"},
		{"/bucket/a:b//c/../d", PathVerbatim, "/bucket/a:b//c/../d"},
		{"/a/./b//c/../d/", PathNormal, "/a/b/d/"},
		{"/../..", PathNormal, "/"},
		{"", PathNormal, "/"},
	}
	for _, c := range cases {
		if got := string(Request{Path: c.path, Paths: c.rule}.appendPath(nil)); got != c.canon {
			t.Errorf("%s: %s, want %s", c.path, got, c.canon)
		}
	}
}

// TestAWrongClockIsToldInWords covers both directions and both places.
func TestAWrongClockIsToldInWords(t *testing.T) {
	r := sample(nil)
	key := Derive("secret", bedrock)
	r = signed(r, Sign(r, Credentials{ID: "AKID"}, key, bedrock))
	c, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	query := c
	query.inQuery, query.Expires = true, time.Minute
	cases := []struct {
		claim Claim
		after time.Duration
		words string
	}{
		{c, 5 * time.Minute, ""},
		{c, -5 * time.Minute, ""},
		{c, 10 * time.Minute, "caller's clock is 10m0s behind"},
		{c, -10 * time.Minute, "caller's clock is 10m0s ahead"},
		{query, 59 * time.Second, ""},
		{query, 90 * time.Second, "expired 30s ago"},
		{query, -time.Hour, "caller's clock is 1h0m0s ahead"},
	}
	for _, k := range cases {
		err := k.claim.timely(noon.Add(k.after))
		if k.words == "" && err != nil || k.words != "" && (err == nil || !strings.Contains(err.Error(), k.words)) {
			t.Errorf("%v later: %v, want %q", k.after, err, k.words)
		}
	}
}

// TestBrokenSignaturesAreNamed: each is an *Error with the code that AWS's SDKs
// know.
func TestBrokenSignaturesAreNamed(t *testing.T) {
	good := "AWS4-HMAC-SHA256 Credential=AKID/20261128/eu-central-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)
	presigned := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20261128%2Feu%2Fbedrock%2Faws4_request&X-Amz-Date=20261128T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=" + strings.Repeat("0", 64)
	cases := []struct {
		name, auth, query, code string
	}{
		{"nothing", "", "", CodeMissing},
		{"a bearer key", "Bearer x", "", CodeMissing},
		{"twice", good, presigned, CodeInvalid},
		{"no parts", "AWS4-HMAC-SHA256", "", CodeIncomplete},
		{"a part twice", good + ", Signature=1", "", CodeIncomplete},
		{"no host", strings.Replace(good, "host;", "", 1), "", CodeInvalid},
		{"upper case", strings.Replace(good, "host;", "Host;", 1), "", CodeIncomplete},
		{"out of order", strings.Replace(good, "host;x-amz-date", "x-amz-date;host", 1), "", CodeIncomplete},
		{"other day", strings.Replace(good, "20261128", "20261127", 1), "", CodeInvalid},
		{"no scope", strings.Replace(good, "/bedrock/aws4_request", "", 1), "", CodeIncomplete},
		{"short", strings.TrimSuffix(good, "0"), "", CodeIncomplete},
		{"expires never", "", strings.Replace(presigned, "Expires=60", "Expires=9999999", 1), CodeIncomplete},
		{"expires twice", "", presigned + "&X-Amz-Expires=70", CodeIncomplete},
		{"other algorithm", "", strings.Replace(presigned, "SHA256", "SHA1", 1), CodeIncomplete},
	}
	for _, c := range cases {
		fields := []Field{{"Host", "h"}, {"X-Amz-Date", "20261128T120000Z"}}
		if c.auth != "" {
			fields = append(fields, Field{"Authorization", c.auth})
		}
		_, err := Parse(Request{Method: "GET", Path: "/", Query: c.query, Header: each(fields)})
		known, ok := errors.AsType[*Error](err)
		if !ok || known.Code != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
}

func TestAHeaderThatIsSignedMustBeThere(t *testing.T) {
	r := sample([]byte("x"))
	key := Derive("secret", bedrock)
	full := signed(r, Sign(r, Credentials{ID: "AKID", Token: "token"}, key, bedrock))
	c, err := Parse(full)
	if err != nil || c.Token != "token" || c.ID != "AKID" || slices.Contains(c.Signed, "user-agent") {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := c.Verify(full, key, noon); err != nil {
		t.Fatal(err)
	}
	without := full
	without.Header = func(yield func(string, string) bool) {
		for name, value := range full.Header {
			if name != "accept" && !yield(name, value) {
				return
			}
		}
	}
	if err := c.Verify(without, key, noon); err == nil || !strings.Contains(err.Error(), `"accept"`) {
		t.Errorf("a signed header that is missing: %v", err)
	}
	unsignedBody := signed(full, []Field{{"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}})
	c.Signed = append(c.Signed, "x-amz-content-sha256")
	slices.Sort(c.Signed)
	if err := c.Verify(unsignedBody, key, noon); err == nil || !strings.Contains(err.Error(), "unsigned") {
		t.Errorf("an unsigned body: %v", err)
	}
}

// TestWhatIsWrongWhateverTheBodyIsSaidEarly, and nothing else is.
func TestWhatIsWrongWhateverTheBodyIsSaidEarly(t *testing.T) {
	key := Derive("secret", bedrock)
	sent := signed(sample([]byte("x")), Sign(sample([]byte("x")), Credentials{ID: "AKID"}, key, bedrock))
	c, err := Parse(sent)
	if err != nil {
		t.Fatal(err)
	}
	other := sent
	other.Payload = Hash([]byte("another body"))
	missing := c
	missing.Signed = append(slices.Clone(c.Signed), "zz-not-there")
	cases := []struct {
		name  string
		claim Claim
		r     Request
		at    time.Time
		words string
	}{
		{"right", c, sent, noon, ""},
		{"a body that is not known yet", c, other, noon, ""},
		{"late", c, sent, noon.Add(time.Hour), "clock"},
		{"a header less", missing, sent, noon, "zz-not-there"},
		{"unsigned", c, signed(sent, []Field{{"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"}}), noon, "unsigned"},
		{"in chunks", c, signed(sent, []Field{{"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}}), noon, "chunk-signed"},
		{"declared", c, signed(sent, []Field{{"X-Amz-Content-Sha256", Hash([]byte("x"))}}), noon, ""},
	}
	for _, k := range cases {
		err := k.claim.Early(k.r, k.at)
		if (k.words == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), k.words) {
			t.Errorf("%s: %v, want %q", k.name, err, k.words)
		}
	}
	if !Present("AWS4-HMAC-SHA256 x", "") || !Present("", "a=b&X-Amz-Signature=00") || Present("Bearer x", "a=b") {
		t.Error("signed requests are not told from others")
	}
}

// TestWhatSignMakesVerifyTakes, and one changed byte anywhere is refused.
func TestWhatSignMakesVerifyTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ -~]{0,20}`)
		r := Request{
			Method: rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"),
			Path:   "/" + rapid.StringMatching(`[a-zA-Z0-9%:./~ -]{0,30}`).Draw(t, "path"),
			Query:  rapid.StringMatching(`([a-z%+]{1,5}=[a-zA-Z0-9%+/]{0,5}&?){0,4}`).Draw(t, "query"),
			Header: each([]Field{{"Host", "h"}, {"A", text.Draw(t, "a")}, {"B", text.Draw(t, "b")}, {"a", text.Draw(t, "a2")}}),
			Paths:  rapid.SampledFrom([]Paths{PathNormal, PathSegments, PathVerbatim}).Draw(t, "paths"),
		}
		r.Payload = Hash([]byte(text.Draw(t, "body")))
		key := Derive("secret", bedrock)
		sent := signed(r, Sign(r, Credentials{ID: "A/K", Token: "tok"}, key, bedrock))
		c, err := Parse(sent)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(sent, key, noon); err != nil {
			t.Fatal(err)
		}
		changed := sent
		changed.Path += "x"
		if err := c.Verify(changed, key, noon); err == nil {
			t.Fatal("another path is accepted")
		}
	})
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c := Credentials{"AKID", "hush-hush", "tok-tok"}
	out := fmt.Sprintf("%v %+v %#v %s %q %x", c, c, c, c, Derive("hush-hush", bedrock), Derive("hush-hush", bedrock))
	if strings.Contains(out, "hush") || strings.Contains(out, "tok-tok") || !strings.Contains(out, "AKID") {
		t.Error(out)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20261128/r/s/aws4_request, SignedHeaders=host, Signature=00", "a=b")
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20261128%2Fr%2Fs%2Faws4_request&X-Amz-Date=20261128T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="+strings.Repeat("f", 64))
	f.Fuzz(func(t *testing.T, auth, query string) {
		r := Request{Method: "GET", Path: "/" + query, Query: query, Header: each([]Field{{"host", "h"}, {"x-amz-date", "20261128T120000Z"}, {"authorization", auth}})}
		c, err := Parse(r)
		if err == nil {
			err = c.Verify(r, Derive("secret", c.Scope), noon)
		}
		if err == nil {
			t.Fatal("a signature was guessed")
		}
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Fatalf("%T %v", err, err)
		}
	})
}

// BenchmarkSign is a request with a body of 1 KB, hashed before, and a cached
// key.
func BenchmarkSign(b *testing.B) {
	r := sample(make([]byte, 1024))
	c := Credentials{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "secret", Token: strings.Repeat("t", 300)}
	key := Derive(c.Secret, bedrock)
	b.ReportAllocs()
	for b.Loop() {
		Sign(r, c, key, bedrock)
	}
}

func BenchmarkHash1KB(b *testing.B) {
	body := make([]byte, 1024)
	for b.Loop() {
		Hash(body)
	}
}
