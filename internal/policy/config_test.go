package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"tailplane/internal/account"
	"tailplane/internal/secret"
)

func limits(requests string) (l account.Limits) {
	if err := json.Unmarshal([]byte(`{"requests":"`+requests+`"}`), &l); err != nil {
		panic(err)
	}
	return l
}

// TestEveryProblemOfASettingIsTold at its place, with what would be right.
func TestEveryProblemOfASettingIsTold(t *testing.T) {
	ref := func(text string) secret.Ref { return must(secret.Parse(text)) }
	static := func(s ...Static) Setting {
		for i := range s {
			s[i].Name, s[i].Key = "k", secret.Env("A")
		}
		return Setting{
			Keys: Config{Static: s}, Organisations: map[string]PartyConfig{"corp": {}, "other": {}},
			Teams: map[string]PartyConfig{"red": {Organisation: "corp"}}, Customers: map[string]PartyConfig{"acme": {Team: "red"}},
		}
	}
	withRules := func(j []JWTRule, m []MTLSRule) Setting {
		return Setting{Keys: Config{JWT: j, MTLS: m, Static: []Static{{Name: "k"}}}}
	}
	good := JWTRule{Issuer: "https://login.example", Audience: "tailplane", Key: "k"}
	for name, c := range map[string]struct {
		setting Setting
		want    string
	}{
		"all is well":            {static(Static{Team: "red", Customer: "acme", Organisation: "corp", Surfaces: []string{"embed", "gen*"}, Networks: []string{"10.0.0.0/8", "::1"}}), ""},
		"a customer of before":   {Setting{Keys: Config{Static: []Static{{Name: "k", Key: secret.Env("A"), Customer: "acme"}}}}, ""},
		"no such team":           {Setting{Customers: map[string]PartyConfig{"acme": {Team: "rad"}}, Teams: map[string]PartyConfig{"red": {}}}, `customers.acme.team: there is no team "rad"; define it in ` + "`teams:`" + `; did you mean "red"?`},
		"no such organisation":   {Setting{Teams: map[string]PartyConfig{"red": {Organisation: "corp"}}}, `teams.red.organisation: there is no organisation "corp"`},
		"an organisation of one": {Setting{Organisations: map[string]PartyConfig{"a": {Organisation: "a"}}}, "organisations.a.organisation: an organisation is part of nothing"},
		"a team of a team":       {Setting{Teams: map[string]PartyConfig{"a": {Team: "a"}}}, "teams.a.team: only a customer"},
		"another's team": {Setting{
			Organisations: map[string]PartyConfig{"o": {}, "p": {}}, Teams: map[string]PartyConfig{"t": {Organisation: "o"}},
			Customers: map[string]PartyConfig{"c": {Organisation: "p", Team: "t"}},
		}, `customers.c.organisation: the team "t" is not part of the organisation "p"`},
		"a party's name":       {Setting{Customers: map[string]PartyConfig{"a b": {}}}, "customers.a b: "},
		"a party's models":     {Setting{Customers: map[string]PartyConfig{"a": {Models: []string{"ok", "["}}}}, "customers.a.models[1]: "},
		"a key's customer":     {static(Static{Customer: "acmee"}), `keys.static[0].customer: there is no customer "acmee"; define it in ` + "`customers:`" + `; did you mean "acme"?`},
		"a key's other team":   {static(Static{Customer: "acme", Team: "x"}), `keys.static[0].team: `},
		"a key's other org":    {static(Static{Customer: "acme", Organisation: "other"}), `keys.static[0].organisation: the customer "acme" is not part`},
		"a right of no use":    {static(Static{Customer: "acme", MayNameCustomers: true}), "keys.static[0].may_name_customers: "},
		"a network":            {static(Static{Networks: []string{"10.0.0.0/8", "ten"}}), "keys.static[0].networks[1]: "},
		"a surface":            {static(Static{Surfaces: []string{"genrate"}}), `keys.static[0].surfaces[0]: "genrate" fits no operation and no dialect; use one of generate, `},
		"unknown customers":    {Setting{Keys: Config{UnknownCustomer: "create"}}, "keys.unknown_customer: "},
		"a header":             {Setting{Keys: Config{CustomerHeaders: []string{"x-a", "x a"}}}, "keys.customer_headers[1]: "},
		"a remote pepper":      {Setting{Keys: Config{Pepper: ref("vault:kv/x#y")}}, "keys.pepper: "},
		"a rule without a key": {withRules([]JWTRule{{Issuer: good.Issuer, Audience: "a"}}, nil), "keys.jwt[0]: the rule names no key"},
		"a rule's key":         {withRules([]JWTRule{good, {Issuer: good.Issuer, Audience: "a", Key: "kk"}}, nil), `keys.jwt[1].key: there is no key "kk"`},
		"a rule's issuer":      {withRules([]JWTRule{{Issuer: "login", Audience: "a", Key: "k"}}, nil), "keys.jwt[0].issuer: "},
		"an offline issuer":    {withRules([]JWTRule{{Issuer: "login", Audience: "a", Key: "k", JWKS: ref("file:/x")}}, nil), ""},
		"a rule's audience":    {withRules([]JWTRule{{Issuer: good.Issuer, Key: "k"}}, nil), "keys.jwt[0]: the rule names no audience"},
		"a rule's keys":        {withRules([]JWTRule{{Issuer: good.Issuer, Audience: "a", Key: "k", JWKS: ref("env:X")}}, nil), "keys.jwt[0].jwks: "},
		"a rule's pattern":     {withRules([]JWTRule{{Issuer: good.Issuer, Audience: "a", Key: "k", Match: map[string]string{"sub": "["}}}, nil), "keys.jwt[0].match.sub: "},
		"a certificate's":      {withRules(nil, []MTLSRule{{Match: "", Key: "k"}}), "keys.mtls[0].match: "},
	} {
		var got []string
		c.setting.Validate(func(at, wrong, right string) { got = append(got, at+": "+wrong+"; "+right) })
		slices.Sort(got)
		text := strings.Join(got, "\n")
		if (c.want == "") != (text == "") || !strings.HasPrefix(text, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", name, text, c.want)
		}
	}
}

func TestRulesLeadToKeys(t *testing.T) {
	keys := inForce(t, Setting{Keys: Config{
		Static: []Static{{Name: "staff", MayNameCustomers: true}, {Name: "jobs"}},
		JWT: []JWTRule{
			{Issuer: "https://a", Audience: "tp", Key: "staff", Match: map[string]string{"realm.roles": "llm-*", "email_verified": "true"}, CustomerClaim: "tenant.name"},
			{Issuer: "https://a", Audience: "tp", Key: "jobs", Match: map[string]string{"sub": "job/*"}},
		},
		MTLS: []MTLSRule{
			{Match: "spiffe://corp/ns/*/sa/web", Key: "staff", Customer: "acme"},
			{Match: "*.corp.example", Key: "jobs"},
		},
	}}, openStore(t, ""))
	staff := func(change func(map[string]any)) map[string]any {
		claims := map[string]any{
			"iss": "https://a", "aud": []any{"x", "tp"}, "email_verified": true,
			"realm": map[string]any{"roles": []any{"other", "llm-user"}}, "tenant": map[string]any{"name": "acme"},
		}
		if change != nil {
			change(claims)
		}
		return claims
	}
	for name, c := range map[string]struct {
		claims         map[string]any
		want, customer string
	}{
		"staff":               {staff(nil), "staff", "acme"},
		"another issuer":      {staff(func(m map[string]any) { m["iss"] = "https://b" }), "", ""},
		"another audience":    {staff(func(m map[string]any) { m["aud"] = "x" }), "", ""},
		"no audience":         {staff(func(m map[string]any) { delete(m, "aud") }), "", ""},
		"not verified":        {staff(func(m map[string]any) { m["email_verified"] = false }), "", ""},
		"another role":        {staff(func(m map[string]any) { m["realm"] = map[string]any{"roles": "llm"} }), "", ""},
		"no tenant":           {staff(func(m map[string]any) { delete(m, "tenant") }), "", ""},
		"a tenant of no text": {staff(func(m map[string]any) { m["tenant"] = map[string]any{"name": 7.0} }), "", ""},
		"a job":               {map[string]any{"iss": "https://a", "aud": "tp", "sub": "job/7"}, "jobs", ""},
		"a job within one":    {map[string]any{"iss": "https://a", "aud": "tp", "sub": "job/7/8"}, "", ""},
		"nothing":             {nil, "", ""},
	} {
		key, customer, ok := keys.Token(c.claims, t0)
		got := ""
		if key != nil {
			got = key.Name
		}
		if got != c.want || customer != c.customer || ok != (c.want != "") {
			t.Errorf("%s: %q, %q, %v", name, got, customer, ok)
		}
	}
	for _, c := range []struct{ names, want, customer string }{
		{"spiffe://corp/ns/prod/sa/web", "staff", "acme"},
		{"spiffe://corp/ns/prod/sa/web/x", "", ""},
		{"spiffe://corp/ns/a/b/sa/web", "", ""},
		{"x job.corp.example", "jobs", ""},
		{"corp.example", "", ""},
		{"", "", ""},
	} {
		key, customer, ok := keys.Certificate(strings.Fields(c.names), t0)
		if ok != (c.want != "") || ok && (key.Name != c.want || customer != c.customer) {
			t.Errorf("%q: %+v, %q", c.names, key, customer)
		}
	}
	if keys.Find("", t0) != nil || keys.Empty() {
		t.Error("rules change whether a key is needed")
	}
	if key, _, _ := keys.Certificate([]string{"a.corp.example"}, t0); key.LastUsed().IsZero() {
		t.Error("it was never used")
	}
}
