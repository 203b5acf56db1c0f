package importer

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"tailplane/internal/meter"
)

// target is one of ours, as it will be written.
type target struct {
	name                        string
	kind, url                   string
	region, project, apiVersion string
	key                         string // a reference
	header                      string // in which the key is sent, when not the kind's own
	auth                        []field
	authKind                    string // aws, azure, google
	headers                     []field
	inFlight                    string
	price                       meter.Override
	deployments                 []field

	literal node      // the key's place, when it was written out
	lacking []lacking // parts of auth that were written out
	secret  string    // tells targets with different literals apart; it is never written
	fixed   bool      // the name is what clients call
}

// lacking is a secret for which there is no reference yet.
type lacking struct {
	name string
	at   node
}

// field is a name with its value, in the order in which it is written.
type field struct{ name, value string }

// same reports whether two deployments lie at one target.
func (t *target) same(o *target) bool {
	return t.kind == o.kind && t.url == o.url && t.region == o.region && t.project == o.project && t.apiVersion == o.apiVersion &&
		t.key == o.key && t.secret == o.secret && t.header == o.header && t.authKind == o.authKind && slices.Equal(t.auth, o.auth) &&
		slices.Equal(t.headers, o.headers) && t.inFlight == o.inFlight && t.price == o.price
}

// base is what the target is called when nobody else is called so.
func (t *target) base() string {
	switch {
	case t.kind == "azure" && t.url != "":
		if u, err := url.Parse(t.url); err == nil {
			label, _, _ := strings.Cut(u.Hostname(), ".")
			return word("azure-" + label)
		}
	case (t.kind == "bedrock" || t.kind == "vertex") && t.region != "":
		return word(t.kind + "-" + t.region)
	}
	return t.kind
}

// word keeps what may stand in a name.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r <= '~' && !strings.ContainsRune(`"',/{}[]:#&*`, r) {
			return r
		}
		return '-'
	}, s[:min(len(s), 60)])
}

// address takes an api_base over; what is wrong with it is said and answered
// with an address that nobody has.
func (im *importer) address(n node, t *target) {
	const nowhere = "http://set-me.invalid"
	text := strings.TrimRight(n.text(), "/")
	u, err := url.Parse(text)
	own := err == nil && u.Host == "api.openai.com"
	if t.kind == "openai" && !own {
		t.kind = "openai-compatible"
	}
	switch {
	case isReference(text):
		t.url = nowhere
		im.refused(n, "an address cannot be a reference: write it instead of %s", nowhere)
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		t.url = nowhere
		im.refused(n, "an address is http(s)://HOST:PORT/PATH without user, query or fragment: write it instead of %s", nowhere)
	case t.kind == "openai":
		im.mapped(n, "it is the kind's own")
	default:
		t.url = text
		if u.Path == "" && t.kind != "azure" && t.kind != "anthropic" {
			im.approximated(n, "url; as it has no path, /v1 is put behind it")
			return
		}
		im.mapped(n, "url")
	}
}

// isReference reports whether a text is LiteLLM's way of naming a variable.
func isReference(text string) bool { return strings.HasPrefix(text, referenceTo) }

const referenceTo = "os.environ/"

// reference is the reference to a secret; ok is false when the secret itself
// stands there. The text is never part of what is said.
func reference(text string) (ref string, ok bool) {
	name, is := strings.CutPrefix(text, referenceTo)
	if !is || name == "" || strings.ContainsAny(name, " \t\r\n:#") {
		return "", false
	}
	return "env:" + name, true
}

// nothing are the texts that people write where a server wants no key.
var nothing = []string{"none", "null", "empty", "no-key", "not-needed", "dummy"}

// credential takes an api_key over.
func (im *importer) credential(n node, t *target, p provider) {
	text := n.text()
	ref, ok := reference(text)
	switch {
	case !n.there():
		if p.env != "" {
			t.key = "env:" + p.env
		}
	case ok:
		t.key = ref
		im.mapped(n, "key: %s", ref)
	case slices.Contains(nothing, strings.ToLower(text)) && p.env == "":
		im.mapped(n, "no key")
	default:
		t.literal, t.secret = n, text
	}
}

// variable is the environment variable that stands for a secret that was written
// out.
func (t *target) variable(what string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(t.name+"_"+what))
}

// settle names the targets and gives keys that were written out a variable.
func (im *importer) settle() {
	im.double()
	taken := map[string]bool{}
	for _, t := range im.targets {
		if t.fixed {
			taken[t.name] = true
		}
	}
	for _, t := range im.targets {
		if !t.fixed {
			base := t.base()
			t.name = base
			for i := 2; taken[t.name] || im.clashes(t); i++ {
				t.name = fmt.Sprintf("%s-%d", base, i)
			}
			taken[t.name] = true
		}
		const says = "a secret is never written into a config: put it into the environment variable %s"
		if t.literal.there() {
			t.key = "env:" + t.variable("key")
			im.refused(t.literal, says, t.variable("key"))
		}
		for _, l := range t.lacking {
			t.auth = append(t.auth, field{l.name, "env:" + t.variable(l.name)})
			im.refused(l.at, says, t.variable(l.name))
		}
	}
}

// double gives deployments of their own target where the target is called as
// clients call it and the name of a model would lead back to itself.
func (im *importer) double() {
	doubles := map[*target]*target{}
	for _, d := range im.deployments {
		if d.wild || !d.target.fixed || !im.defines(d.target.name+"/"+d.model) || im.needless(d) {
			continue
		}
		if doubles[d.target] == nil {
			other := *d.target
			other.fixed, other.name = false, ""
			doubles[d.target] = &other
			im.targets = append(im.targets, &other)
		}
		d.target = doubles[d.target]
	}
}

// needless reports whether a model only says what its name says.
func (im *importer) needless(d *deployment) bool {
	if d.wild || !d.target.fixed || d.group != d.target.name+"/"+d.model || d.timeout+d.stream > 0 || len(im.fallbacks[d.group]) > 0 {
		return false
	}
	for _, o := range im.deployments {
		if o != d && o.group == d.group {
			return false
		}
	}
	return true
}

// clashes reports whether a name of a target would make a model lead to itself:
// names of models go before TARGET/MODEL.
func (im *importer) clashes(t *target) bool {
	for _, d := range im.deployments {
		if d.target == t && im.defines(t.name+"/"+d.model) {
			return true
		}
	}
	return false
}

func (im *importer) defines(name string) bool {
	for _, d := range im.deployments {
		if d.group == name && !d.wild {
			return true
		}
	}
	return slices.ContainsFunc(im.aliases, func(f field) bool { return f.name == name })
}

// place returns the target that equals t, or t itself as a new one.
func (im *importer) place(t *target) *target {
	for _, o := range im.targets {
		if o.same(t) {
			o.deployments = merge(o.deployments, t.deployments)
			return o
		}
	}
	im.targets = append(im.targets, t)
	return t
}

func merge(a, b []field) []field {
	for _, f := range b {
		if !slices.Contains(a, f) {
			a = append(a, f)
		}
	}
	slices.SortFunc(a, func(x, y field) int { return cmp.Compare(x.name, y.name) })
	return a
}
