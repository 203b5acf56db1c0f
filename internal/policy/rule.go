package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"tailplane/internal/secret"
	"tailplane/internal/suggest"
)

// JWTRule says for which key a verified token stands.
type JWTRule struct {
	Issuer   string `yaml:"issuer"`
	Audience string `yaml:"audience"`
	// JWKS is a file with the issuer's keys; without it they are asked of the
	// issuer.
	JWKS secret.Ref `yaml:"jwks"`
	// Match are patterns that claims must fit, by the claim's name; dots lead
	// into objects. Of a list one item must fit.
	Match map[string]string `yaml:"match"`
	Key   string            `yaml:"key"` // the name of the key
	// CustomerClaim is the claim that names the customer. A token without it
	// then stands for nothing.
	CustomerClaim string `yaml:"customer_claim"`
}

// MTLSRule says for which key a verified client certificate stands.
type MTLSRule struct {
	// Match is a pattern that one of the certificate's names must fit. A * does
	// not go beyond a slash.
	Match    string `yaml:"match"`
	Key      string `yaml:"key"`
	Customer string `yaml:"customer"`
}

// rules reports the problems of both kinds. names are the static keys: rules
// stand in the file, and so does what they lead to.
func (c Setting) rules(names map[string]bool, report report) {
	key := func(at, name string) {
		switch {
		case name == "":
			report(at, "the rule names no key", "add `key:` with the name of the key that it stands for")
		case !names[name]:
			list := slices.Sorted(maps.Keys(names))
			report(at+".key", fmt.Sprintf("there is no key %q in the file", name), "define it in `keys.static:`; it needs no text of its own"+suggest.Phrase(suggest.Nearest(name, list)))
		}
	}
	for i, r := range c.Keys.JWT {
		at := fmt.Sprintf("keys.jwt[%d]", i)
		key(at, r.Key)
		if !strings.HasPrefix(r.Issuer, "https://") && (r.JWKS.IsZero() || r.Issuer == "") {
			report(at+".issuer", fmt.Sprintf("%q is no address of an issuer", r.Issuer), "write its `iss`, such as https://login.example.com; with `jwks: file:/path` any text will do")
		}
		if r.Audience == "" {
			report(at, "the rule names no audience, so that it would take tokens that were made for others", "add `audience:` with the `aud` of this gateway's tokens")
		}
		if !r.JWKS.IsZero() && r.JWKS.Scheme() != secret.SchemeFile {
			report(at+".jwks", fmt.Sprintf("%s is no file", r.JWKS), "write `jwks: file:/path`, or leave it out so that the issuer is asked")
		}
		for _, claim := range slices.Sorted(maps.Keys(r.Match)) {
			checkPatterns(at+".match."+claim, []string{r.Match[claim]}, func(_, wrong, right string) { report(at+".match."+claim, wrong, right) })
		}
	}
	for i, r := range c.Keys.MTLS {
		at := fmt.Sprintf("keys.mtls[%d]", i)
		key(at, r.Key)
		checkPatterns(at+".match", []string{r.Match}, func(_, wrong, right string) { report(at+".match", wrong, right) })
		if len(c.Customers) > 0 {
			known(at+".customer", "customer", r.Customer, c.Customers, report)
		}
	}
}

// Token returns the key that a verified token stands for, and the customer that
// it names. The first rule that fits decides. ok is false when none fits, or its
// key may not be used now.
func (k *Keys) Token(claims map[string]any, now time.Time) (key *Key, customer string, ok bool) {
	for _, r := range k.setting.Keys.JWT {
		if r.fits(claims) {
			if r.CustomerClaim != "" {
				if customer, ok = claimOf(claims, r.CustomerClaim).(string); !ok || customer == "" {
					return nil, "", false
				}
			}
			return k.stands(r.Key, customer, now)
		}
	}
	return nil, "", false
}

// Certificate returns the key that a verified certificate stands for by its
// names, and the customer that the rule names.
func (k *Keys) Certificate(names []string, now time.Time) (key *Key, customer string, ok bool) {
	for _, r := range k.setting.Keys.MTLS {
		if slices.ContainsFunc(names, func(name string) bool { return matches([]string{r.Match}, name) }) {
			return k.stands(r.Key, r.Customer, now)
		}
	}
	return nil, "", false
}

// stands is the static key that a rule leads to.
func (k *Keys) stands(name, customer string, now time.Time) (*Key, string, bool) {
	key := k.dir.Load().fixed[name]
	if key == nil || key.lack(now) != "" {
		return nil, "", false
	}
	key.touch(now)
	return key, customer, true
}

func (r *JWTRule) fits(claims map[string]any) bool {
	if iss, _ := claims["iss"].(string); iss != r.Issuer || r.Issuer == "" {
		return false
	}
	if !slices.Contains(texts(claims["aud"]), r.Audience) || r.Audience == "" {
		return false
	}
	for claim, pattern := range r.Match {
		if !slices.ContainsFunc(texts(claimOf(claims, claim)), func(text string) bool {
			ok, err := path.Match(pattern, text)
			return ok && err == nil
		}) {
			return false
		}
	}
	return true
}

// claimOf is a claim by its name, or by names that lead into objects.
func claimOf(claims map[string]any, name string) any {
	if v, is := claims[name]; is {
		return v
	}
	first, rest, more := strings.Cut(name, ".")
	inner, is := claims[first].(map[string]any)
	if !more || !is {
		return nil
	}
	return claimOf(inner, rest)
}

// texts are the values of a claim: one, or the items of a list.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case bool, float64, int64, json.Number:
		return []string{fmt.Sprint(v)}
	case []string:
		return v
	case []any:
		var list []string
		for _, item := range v {
			if _, nested := item.([]any); !nested {
				list = append(list, texts(item)...)
			}
		}
		return list
	}
	return nil
}
