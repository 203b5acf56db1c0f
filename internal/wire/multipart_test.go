package wire

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const formBody = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--bogus\r\n\r\n" +
	"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b--\r\n"

func TestFormFindsFields(t *testing.T) {
	var found [3]Field
	end, err := Form([]byte(formBody), "b", []string{"file", "model", "prompt"}, found[:])
	if err != nil {
		t.Fatal(err)
	}
	if got := string(found[0].Value.Of([]byte(formBody))); got != "RIFF\r\n--bogus\r\n" || !found[0].File || found[0].Type != "audio/wav" {
		t.Errorf("file %q %+v", got, found[0])
	}
	if got := string(found[1].Value.Of([]byte(formBody))); got != "whisper" || found[1].File {
		t.Errorf("model %q", got)
	}
	if !found[2].IsZero() {
		t.Errorf("prompt %+v", found[2])
	}
	got := string(Splice(nil, []byte(formBody), Edit{At: found[1].Value, With: []byte("large-v3")}, InsertField(end, "b", "prompt", "hi")))
	want := strings.Replace(formBody, "whisper\r\n", "large-v3\r\n--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nhi\r\n", 1)
	if got != want {
		t.Errorf("edited:\n%q\nwant\n%q", got, want)
	}
}

func TestBrokenFormsAreRefused(t *testing.T) {
	const head = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n"
	for name, body := range map[string]string{
		"empty":                  "",
		"another boundary":       "--c\r\n\r\nx\r\n--c--\r\n",
		"no closing boundary":    head + "\r\nwhisper\r\n",
		"cut in a head":          head,
		"closed at once":         "--b--\r\n",
		"no header line":         "--b\r\nnonsense\r\n\r\nx\r\n--b--",
		"unreadable disposition": "--b\r\nContent-Disposition: form-data; name=\"m\r\n\r\nx\r\n--b--",
		"no empty line":          head + "\r\n--b--\r\n",
		"twice":                  head + "\r\nx\r\n" + head + "\r\ny\r\n--b--\r\n",
	} {
		var found [1]Field
		_, err := Form([]byte(body), "b", []string{"model"}, found[:])
		if _, ok := errors.AsType[*FormError](err); !ok {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestBoundary(t *testing.T) {
	for text, want := range map[string]string{
		`multipart/form-data; boundary=abc`: "abc", `Multipart/Form-Data; charset=utf-8; boundary="a b"`: "a b",
		`multipart/form-data`: "", `multipart/mixed; boundary=abc`: "", `application/json`: "", ``: "",
		`multipart/form-data; boundary=` + strings.Repeat("x", 71): "",
	} {
		if got, ok := Boundary(text); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v", text, got, ok)
		}
	}
}

// TestEditingAFormChangesOneField: the standard library's writer and reader are the
// oracle, and every byte outside of the edited value stays.
func TestEditingAFormChangesOneField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z_]{1,8}`), 1, 6, rapid.ID).Draw(t, "names")
		want := map[string]string{}
		for _, name := range names {
			value := rapid.OneOf(
				rapid.Just("\r\n--"+w.Boundary()[:10]+"\r\n"), rapid.StringMatching(`[\r\n\-a]{0,20}`),
				rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 200), func(b []byte) string { return string(b) }),
			).Draw(t, "value")
			var part io.Writer
			var err error
			if rapid.Bool().Draw(t, "file") {
				part, err = w.CreateFormFile(name, "a.bin")
			} else {
				part, err = w.CreateFormField(name)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(part, value); err != nil {
				t.Fatal(err)
			}
			want[name] = value
		}
		_ = w.Close()
		boundary, ok := Boundary(w.FormDataContentType())
		if !ok {
			t.Fatal("no boundary")
		}
		pick := rapid.SampledFrom(names).Draw(t, "pick")
		found := make([]Field, len(names)+1)
		end, err := Form(b.Bytes(), boundary, append(names, "absent"), found)
		if err != nil {
			t.Fatal(err)
		}
		var edit Edit
		for i, name := range names {
			if got := string(found[i].Value.Of(b.Bytes())); got != want[name] {
				t.Fatalf("%s is %q, want %q", name, got, want[name])
			}
			if name == pick {
				edit = Edit{At: found[i].Value, With: []byte("new value")}
			}
		}
		out := Splice(nil, b.Bytes(), edit, InsertField(end, boundary, "absent", "added"))
		if !bytes.HasPrefix(out, b.Bytes()[:edit.At.Start]) || !bytes.HasSuffix(out, b.Bytes()[end:]) {
			t.Fatal("bytes outside of the edits have changed")
		}
		want[pick], want["absent"] = "new value", "added"
		checkForm(t, out, boundary, want)
	})
}

func checkForm(t *rapid.T, body []byte, boundary string, want map[string]string) {
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	got := map[string]string{}
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%q", err, body)
		}
		text, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		got[part.FormName()] = string(text)
	}
	if len(got) != len(want) {
		t.Fatalf("fields %q, want %q", got, want)
	}
	for name, text := range want {
		if got[name] != text {
			t.Fatalf("%s is %q, want %q", name, got[name], text)
		}
	}
}

// FuzzForm: whatever passes, its spans are in the body, and editing a value gives a form
// with that value and all others.
func FuzzForm(f *testing.F) {
	f.Add([]byte(formBody), "b")
	f.Add([]byte("preamble\r\n--x \t\r\n\r\nvalue\r\n--x--trailer"), "x")
	f.Add([]byte("--b\r\n\r\n\r\n--b--"), "b")
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		if boundary == "" || len(boundary) > 70 || strings.ContainsAny(boundary, "\r\n") || strings.Contains("large-v3", boundary) {
			return
		}
		var found [2]Field
		names := []string{"model", ""}
		end, err := Form(body, boundary, names, found[:])
		if err != nil {
			return
		}
		if end > len(body) {
			t.Fatal("the end is outside")
		}
		for i, field := range found {
			if field.IsZero() {
				continue
			}
			out := Splice(nil, body, Edit{At: field.Value, With: []byte("large-v3")})
			var again [2]Field
			if _, err := Form(out, boundary, names, again[:]); err != nil {
				t.Fatalf("%v\n%q", err, out)
			}
			if got := string(again[i].Value.Of(out)); got != "large-v3" {
				t.Fatalf("%q", got)
			}
		}
	})
}
