package secret

import (
	"strings"
	"testing"
)

// TestEverySchemeHasItsSyntax: what is right comes back as it was written, what
// is wrong is told with the right form and without the text.
func TestEverySchemeHasItsSyntax(t *testing.T) {
	for _, text := range []string{
		"env:KEY", "file:/a/b#c", "vault:kv/team/openai#key", "vault:secret/x y#k.1",
		"aws-sm:prod/openai", "aws-sm:arn:aws:secretsmanager:eu-central-1:1:secret:x-1#key",
		"gcp-sm:projects/p-1/secrets/s_1", "gcp-sm:projects/p/secrets/s/versions/latest#f", "azure-kv:team/openai-1",
	} {
		r, err := Parse(text)
		if err != nil || r.String() != text {
			t.Errorf("%s: %v, %v", text, r, err)
		}
		if remote := !strings.HasPrefix(text, "env:") && !strings.HasPrefix(text, "file:"); r.Remote() != remote {
			t.Errorf("%s: remote = %v", text, r.Remote())
		}
		if r.Remote() {
			if _, err := r.Resolve(); err == nil || !strings.Contains(err.Error(), "over the network") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	for text, form := range map[string]string{
		"vault:":                                  "vault:MOUNT/PATH#FIELD",
		"vault:" + canary:                         "vault:MOUNT/PATH#FIELD",
		"vault:kv/" + canary:                      "vault:MOUNT/PATH#FIELD",
		"vault:kv/x#":                             "vault:MOUNT/PATH#FIELD",
		"vault:kv/../sys/" + canary + "#k":        "vault:MOUNT/PATH#FIELD",
		"vault:kv/" + canary + "/..#k":            "vault:MOUNT/PATH#FIELD",
		"aws-sm:" + canary + " x":                 "aws-sm:NAME",
		"aws-sm:x#":                               "aws-sm:NAME",
		"gcp-sm:" + canary:                        "gcp-sm:projects/P/secrets/S",
		"gcp-sm:projects/p/secrets/s/x/" + canary: "gcp-sm:projects/P/secrets/S",
		"azure-kv:" + canary:                      "azure-kv:VAULT/SECRET",
		"azure-kv:x/y/" + canary:                  "azure-kv:VAULT/SECRET",
		"keyring:" + canary:                       "vault:, aws-sm:, gcp-sm:, azure-kv:",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), form) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAFieldIsPickedFromADocument(t *testing.T) {
	field := func(text string) Ref { return Ref{SchemeAWS, "x", text} }
	cases := []struct {
		field, document, want, wrong string
	}{
		{"", "plain\n", "plain\n", ""},
		{"a", `{"a":"b"}`, "b", ""},
		{"a", `{"a":7}`, "7", ""},
		{"a", `{"a":{"type":"service_account"}}`, `{"type":"service_account"}`, ""},
		{"a", `{"b":"` + canary + `"}`, "", `no field "a"`},
		{"a", canary, "", "no JSON object"},
	}
	for _, c := range cases {
		v, err := field(c.field).Pick([]byte(c.document))
		if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), canary)) || v.Reveal() != c.want {
			t.Errorf("%s of %s: %q, %v", c.field, c.document, v.Reveal(), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"env:A", "vault:kv/x#k", "aws-sm:a#b", "gcp-sm:projects/p/secrets/s", "azure-kv:a/b", canary} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err == nil && r.String() != text {
			t.Fatalf("%q is read as %q", text, r)
		}
		if err != nil && len(text) > 20 && strings.Contains(err.Error(), text) {
			t.Fatalf("the error repeats the text: %v", err)
		}
	})
}
