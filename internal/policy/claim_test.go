package policy

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"tailplane/internal/secret"
)

// claims is a setting in which customers stand in two teams and in none.
func claims(unknown string) Setting {
	return Setting{
		Keys: Config{
			UnknownCustomer: unknown, CustomerHeaders: []string{"x-tenant"},
			Static: []Static{
				{Name: "bound", Key: secret.Env("POLICY_BOUND"), Customer: "acme"},
				{Name: "plain", Key: secret.Env("POLICY_PLAIN"), Team: "red"},
				{Name: "namer", Key: secret.Env("POLICY_NAMER"), Team: "red", MayNameCustomers: true},
				{Name: "anyone", Key: secret.Env("POLICY_ANYONE"), MayNameCustomers: true},
				{Name: "off", Key: secret.Env("POLICY_OFF"), Customer: "off"},
			},
		},
		Organisations: map[string]PartyConfig{"corp": {Limits: limits("7/s")}},
		Teams:         map[string]PartyConfig{"red": {Organisation: "corp"}, "blue": {Organisation: "corp"}, "gone": {Disabled: true}},
		Customers: map[string]PartyConfig{
			"acme": {Team: "red", Limits: limits("1/s")}, "globex": {Team: "blue"}, "free": {}, "off": {Disabled: true}, "below": {Team: "gone"},
		},
	}
}

func TestWhoseARequestIs(t *testing.T) {
	for _, name := range []string{"BOUND", "PLAIN", "NAMER", "ANYONE", "OFF"} {
		t.Setenv("POLICY_"+name, "text of "+name)
	}
	cases := []struct {
		key, claim string
		proven     bool
		unknown    string
		want       string // organisation/team/customer how, or a code
	}{
		{"bound", "", false, "", "corp/red/acme key"},
		{"bound", "globex", false, "", "corp/red/acme key"},
		{"plain", "", false, "", "corp/red/ "},
		{"plain", "acme", false, "", "corp/red/ unclaimed"},
		{"plain", "nobody", false, Quarantine, "corp/red/ unclaimed"},
		{"plain", "acme", true, "", "corp/red/acme jwt"},
		{"plain", "globex", true, "", CodeUnknownCustomer},
		{"namer", "", false, "", "corp/red/ "},
		{"namer", "acme", false, "", "corp/red/acme claim"},
		{"namer", "globex", false, "", CodeUnknownCustomer},
		{"namer", "free", false, "", CodeUnknownCustomer},
		{"namer", "nobody", false, "", CodeUnknownCustomer},
		{"namer", "nobody", false, Quarantine, "corp/red/quarantine quarantine"},
		{"namer", "globex", false, Quarantine, "corp/red/quarantine quarantine"},
		{"anyone", "", false, "", "// "},
		{"anyone", "globex", false, "", "corp/blue/globex claim"},
		{"anyone", "free", false, "", "//free claim"},
		{"anyone", "ACME", false, "", CodeUnknownCustomer},
		{"anyone", "nobody", false, Quarantine, "//quarantine quarantine"},
		{"anyone", "off", false, "", CodeDisabled},
		{"anyone", "below", false, Quarantine, CodeDisabled},
		{"off", "", false, "", CodeDisabled},
	}
	for _, c := range cases {
		keys := inForce(t, claims(c.unknown), openStore(t, ""))
		key := keys.Find("text of "+strings.ToUpper(c.key), t0)
		claim := Claim{Customer: c.claim, From: "x-tenant", Proven: c.proven}
		if c.proven {
			claim.From = "jwt"
		}
		p, how, no := keys.Attribute(key, claim)
		var got string
		if no != nil {
			got = no.Code
		} else {
			o, tm, cu := p.Names()
			got = o + "/" + tm + "/" + cu + " " + how
			chain := key.AppendChain(nil, p)
			if key.Party() != nil && len(chain) < len(key.Party().Chain()) {
				t.Errorf("%+v: the request escapes its team's limits: %v", c, chain)
			}
			if wants := strings.HasPrefix(got, "corp/"); wants != (len(chain) > 0) {
				t.Errorf("%+v: chain %v", c, chain)
			}
		}
		if got != c.want {
			t.Errorf("%+v: %s (%v)", c, got, no)
		}
		if no != nil && (!strings.Contains(no.Error(), c.claim) && no.Code == CodeUnknownCustomer || p != nil || how != "") {
			t.Errorf("%+v: %v, %v", c, no, p)
		}
	}
	keys := inForce(t, claims(Quarantine), openStore(t, ""))
	key := keys.Find("text of NAMER", t0)
	claim := Claim{Customer: "nobody", From: "user"}
	before := len(keys.store.ListParties())
	if n := testing.AllocsPerRun(100, func() { _, _, _ = keys.Attribute(key, claim) }); n != 0 {
		t.Errorf("Attribute makes %v allocations", n)
	}
	if len(keys.store.ListParties()) != before || keys.Customer("nobody") != nil {
		t.Error("a request made a customer")
	}
}

// TestAClaimNeverLeavesItsKeysParty: whoever the caller says it is for.
func TestAClaimNeverLeavesItsKeysParty(t *testing.T) {
	for _, name := range []string{"BOUND", "PLAIN", "NAMER", "ANYONE", "OFF"} {
		t.Setenv("POLICY_"+name, "text of "+name)
	}
	for _, unknown := range []string{Reject, Quarantine} {
		keys := inForce(t, claims(unknown), openStore(t, ""))
		list := slices.Collect(keys.dir.Load().keys)
		names := []string{"acme", "globex", "free", "off", "below", "quarantine", "red", "corp", "", "x\x00", "nobody"}
		rapid.Check(t, func(t *rapid.T) {
			key := rapid.SampledFrom(list).Draw(t, "key")
			claim := Claim{Customer: rapid.OneOf(rapid.SampledFrom(names), rapid.String()).Draw(t, "claim"), From: "user", Proven: rapid.Bool().Draw(t, "proven")}
			p, how, no := keys.Attribute(key, claim)
			if no != nil {
				if p != nil || how != "" || no.Message == "" || len(no.Message) > 500 {
					t.Fatalf("%+v, %v", no, p)
				}
				return
			}
			if !p.within(key.Party()) {
				t.Fatalf("%v is not within %v", p, key.Party())
			}
			if !key.MayNameCustomers && !claim.Proven && p != key.Party() {
				t.Fatalf("a claim without the right leads to %v", p)
			}
		})
	}
}

func TestScopes(t *testing.T) {
	key := func(surfaces []string, networks ...string) *Key {
		k := Anonymous()
		k.Surfaces = surfaces
		for _, text := range networks {
			k.Networks = append(k.Networks, must(ParseNetwork(text)))
		}
		return k
	}
	for _, c := range []struct {
		surfaces    string
		op, dialect string
		want        bool
	}{
		{"", "batch", "chat", true},
		{"generate", "generate", "anthropic", true},
		{"generate", "embed", "embeddings", false},
		{"embed", "embed", "embeddings", true},
		{"anthropic", "count", "anthropic", true},
		{"anthropic", "generate", "chat", false},
		{"trans*", "transcribe", "", true},
		{"trans*", "", "", false},
	} {
		if got := key(strings.Fields(c.surfaces)).MayUse(c.op, c.dialect); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for _, c := range []struct {
		networks, from string
		want           bool
	}{
		{"", "192.0.2.1", true},
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "11.1.2.3", false},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.4", false},
		{"10.1.2.3/8", "10.9.9.9", true},
		{"::ffff:10.1.2.3", "10.1.2.3", true},
		{"fd00::/8 10.0.0.0/8", "fd00::1%eth0", true},
		{"fd00::/8", "10.1.2.3", false},
	} {
		if got := key(nil, strings.Fields(c.networks)...).MayFrom(netip.MustParseAddr(c.from)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if key(nil, "0.0.0.0/0", "::/0").MayFrom(netip.Addr{}) {
		t.Error("an address that is not known is within a network")
	}
	for _, text := range []string{"", "10", "10.0.0.0/33", "fe80::1%eth0", "example.com"} {
		if _, err := ParseNetwork(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTagsAreCleaned(t *testing.T) {
	for _, c := range []struct {
		tags, want string
		dropped    int
	}{
		{"", "", 0},
		{"b|a|b| a ", "a b", 0},
		{"a||x\x00|y,z|" + strings.Repeat("l", 65) + "|\xff", "a", 5},
		{"q|w|e|r|t|z|u|i|o|p|a|s|d|f|g|h|j|k", "a d e f g h i j k o p q r s t u", 2},
	} {
		got, dropped := CleanTags(strings.Split(c.tags, "|"))
		if c.tags == "" {
			got, dropped = CleanTags(nil)
		}
		if strings.Join(got, " ") != c.want || dropped != c.dropped {
			t.Errorf("%q: %q, %d dropped", c.tags, got, dropped)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		tags := rapid.SliceOf(rapid.String()).Draw(t, "tags")
		all := len(tags)
		clean, dropped := CleanTags(tags)
		if len(clean) > mostTags || !slices.IsSorted(clean) || len(slices.Compact(slices.Clone(clean))) != len(clean) || dropped > all || dropped < 0 {
			t.Fatalf("%q, %d dropped of %d", clean, dropped, all)
		}
		again, more := CleanTags(slices.Clone(clean))
		if !slices.Equal(again, clean) || more != 0 {
			t.Fatalf("cleaned again: %q", again)
		}
		session := CleanSession(rapid.String().Draw(t, "session"))
		if len(session) > longestSession || strings.ContainsFunc(session, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q", session)
		}
	})
	if got := CleanSession(strings.Repeat("\u00e9", 100)); len(got) != 128 {
		t.Errorf("a long one is %d bytes", len(got))
	}
}
