package policy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"
	"unicode"

	"tailplane/internal/account"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
	"tailplane/internal/suggest"
)

// Setting is all that the file says of who may call.
type Setting struct {
	Keys          Config
	Organisations map[string]PartyConfig
	Teams         map[string]PartyConfig
	Customers     map[string]PartyConfig
}

// PartyConfig is an organisation, a team or a customer, as the file and the API
// have it.
type PartyConfig struct {
	// Organisation is that of a team or customer, Team that of a customer.
	Organisation string `yaml:"organisation" json:"organisation,omitempty"`
	Team         string `yaml:"team" json:"team,omitempty"`
	// Models are patterns of the model names that may be called on its behalf;
	// none means all.
	Models   []string         `yaml:"models" json:"models,omitempty"`
	Limits   account.Limits   `yaml:"limits" json:"limits,omitzero"`
	Budgets  []account.Budget `yaml:"budgets" json:"budgets,omitempty"`
	Disabled bool             `yaml:"disabled" json:"disabled,omitempty"`
	// Priority and Weight hold for the keys and parties below that say nothing.
	Priority string  `yaml:"priority" json:"priority,omitempty"`
	Weight   float64 `yaml:"weight" json:"weight,omitempty"`
}

// Rules are the limits and budgets.
func (c PartyConfig) Rules() account.Rules {
	return account.Rules{Limits: c.Limits, Budgets: c.Budgets}
}

// Config is the `keys:` section of the file.
type Config struct {
	// Required is whether callers need a key: yes unless it says no.
	Required *bool `yaml:"required"`
	// Static are keys whose text comes from the environment or a file.
	Static []Static `yaml:"static"`
	// UnknownCustomer is what becomes of a request whose caller may name
	// customers and names one that there is not: reject or quarantine.
	UnknownCustomer string `yaml:"unknown_customer"`
	// CustomerHeaders are further headers in which a customer may be named.
	CustomerHeaders []string `yaml:"customer_headers"`
	// Pepper is the secret that gateways with a shared store have in common;
	// without it the state directory has one.
	Pepper secret.Ref `yaml:"pepper"`
	JWT    []JWTRule  `yaml:"jwt"`
	MTLS   []MTLSRule `yaml:"mtls"`
}

// What becomes of unknown customers.
const (
	Reject     = "reject"
	Quarantine = "quarantine" // also the name of the customer under whom they are counted
)

// Static is a key that the operator brings along.
type Static struct {
	Name string `yaml:"name"`
	// Key is its text; a key that only rules lead to has none.
	Key              secret.Ref       `yaml:"key"`
	Organisation     string           `yaml:"organisation"`
	Team             string           `yaml:"team"`
	Customer         string           `yaml:"customer"`
	Models           []string         `yaml:"models"`   // patterns; none means all
	Surfaces         []string         `yaml:"surfaces"` // operations and dialects; none means all
	Networks         []string         `yaml:"networks"` // addresses and prefixes; none means all
	MayNameCustomers bool             `yaml:"may_name_customers"`
	MayRoute         bool             `yaml:"may_route"`
	Limits           account.Limits   `yaml:"limits"`
	Budgets          []account.Budget `yaml:"budgets"`
	Priority         string           `yaml:"priority"` // high, normal or low; none is as for its party
	Weight           float64          `yaml:"weight"`   // 0 is as for its party
}

// leads reports whether a rule leads to a static key.
func (c Config) leads(name string) bool {
	return slices.ContainsFunc(c.JWT, func(r JWTRule) bool { return r.Key == name }) ||
		slices.ContainsFunc(c.MTLS, func(r MTLSRule) bool { return r.Key == name })
}

func (s Static) spec() (KeySpec, error) {
	spec := KeySpec{
		Name: s.Name, Organisation: s.Organisation, Team: s.Team, Customer: s.Customer, Models: s.Models, Surfaces: s.Surfaces,
		MayNameCustomers: s.MayNameCustomers, MayRoute: s.MayRoute, Priority: s.Priority, Weight: s.Weight, Rules: account.Rules{Limits: s.Limits, Budgets: s.Budgets},
	}
	for _, text := range s.Networks {
		n, err := ParseNetwork(text)
		if err != nil {
			return spec, err
		}
		spec.Networks = append(spec.Networks, n)
	}
	return spec, nil
}

// staticPrefix begins the id of a key of the file.
const staticPrefix = "static-"

// ParseNetwork reads a prefix such as 10.0.0.0/8, or a single address.
func ParseNetwork(text string) (netip.Prefix, error) {
	if n, err := netip.ParsePrefix(text); err == nil {
		return n.Masked(), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%w: %q is no network; write one such as 10.0.0.0/8, or an address", ErrInvalid, text)
	}
	return addr.Unmap().Prefix(addr.Unmap().BitLen())
}

// report is how problems are told: where, what is wrong, what would be right.
type report = func(at, wrong, right string)

// Validate reports every problem of the sections.
func (c Setting) Validate(report func(at, wrong, right string)) {
	for _, section := range []struct {
		path    string
		level   account.Level
		parties map[string]PartyConfig
	}{
		{"organisations", account.Organisation, c.Organisations},
		{"teams", account.Team, c.Teams},
		{"customers", account.Customer, c.Customers},
	} {
		for _, name := range slices.Sorted(maps.Keys(section.parties)) {
			c.party(section.path+"."+name, ref{section.level, name}, section.parties[name], report)
		}
	}
	names := map[string]bool{}
	for i, s := range c.Keys.Static {
		at := fmt.Sprintf("keys.static[%d]", i)
		c.static(at, s, report)
		if names[s.Name] {
			report(at+".name", fmt.Sprintf("the name %q stands twice", s.Name), "give every key its own")
		}
		names[s.Name] = true
	}
	switch c.Keys.UnknownCustomer {
	case "", Reject, Quarantine:
	default:
		report("keys.unknown_customer", fmt.Sprintf("%q is nothing that can be done", c.Keys.UnknownCustomer), "write reject (the default) or quarantine")
	}
	for i, h := range c.Keys.CustomerHeaders {
		if h == "" || len(h) > 64 || strings.ContainsFunc(h, func(r rune) bool {
			return r != '-' && r != '_' && (r > 'z' || !unicode.IsLetter(r) && !unicode.IsDigit(r))
		}) {
			report(fmt.Sprintf("keys.customer_headers[%d]", i), fmt.Sprintf("%q is no name of a header", h), "write one such as x-customer")
		}
	}
	if c.Keys.Pepper.Remote() {
		report("keys.pepper", "it is read at the start, and a start does not wait for the network", "write `pepper: env:NAME` or `pepper: file:/path`")
	}
	c.rules(names, report)
}

// party reports the problems of one.
func (c Setting) party(path string, at ref, p PartyConfig, report report) {
	if !printable(at.name) || len(at.name) > longestName || strings.ContainsAny(at.name, " \",") {
		report(path, fmt.Sprintf("%q cannot be the name of a party", at.name), fmt.Sprintf("use up to %d printable characters without spaces, quotes and commas", longestName))
	}
	if at.level == account.Organisation && p.Organisation != "" {
		report(path+".organisation", "an organisation is part of nothing", "remove the line")
	}
	if at.level != account.Customer && p.Team != "" {
		report(path+".team", "only a customer is part of a team", "remove the line")
	}
	if at.level != account.Organisation {
		c.belongs(path, p.Organisation, p.Team, report)
	}
	checkPatterns(path+".models", p.Models, report)
	checkTurn(path, p.Priority, p.Weight, report)
	p.Rules().Validate(path, report)
}

// belongs reports names that stand for nothing, and a team of another
// organisation.
func (c Setting) belongs(path, organisation, team string, report report) {
	known(path+".organisation", "organisation", organisation, c.Organisations, report)
	known(path+".team", "team", team, c.Teams, report)
	of := c.Teams[team].Organisation
	if _, is := c.Teams[team]; is && organisation != "" && of != organisation {
		report(path+".organisation", fmt.Sprintf("the team %q is not part of the organisation %q", team, organisation), "name the team alone: its organisation goes with it")
	}
}

func known(path, what, name string, list map[string]PartyConfig, report report) {
	if _, is := list[name]; name == "" || is {
		return
	}
	names := slices.Sorted(maps.Keys(list))
	report(path, fmt.Sprintf("there is no %s %q", what, name), fmt.Sprintf("define it in `%ss:`", what)+suggest.Phrase(suggest.Nearest(name, names)))
}

// static reports the problems of a static key.
func (c Setting) static(at string, s Static, report report) {
	if s.Name == "" {
		report(at, "the key has no name", "add `name:`, it stands in the ledger")
	}
	if s.Key.IsZero() && !c.Keys.leads(s.Name) {
		report(at, fmt.Sprintf("key %q has no reference to its text, and no rule leads to it", s.Name), "add `key: env:NAME` or `key: file:/path`")
	}
	c.belongs(at, s.Organisation, s.Team, report)
	if len(c.Customers) > 0 {
		// Without the section a key's customer is a name and nothing more.
		known(at+".customer", "customer", s.Customer, c.Customers, report)
	}
	if p, is := c.Customers[s.Customer]; is && s.Team != "" && p.Team != s.Team {
		report(at+".team", fmt.Sprintf("the customer %q is not part of the team %q", s.Customer, s.Team), "name the customer alone: its team goes with it")
	}
	if p, is := c.Customers[s.Customer]; is && s.Organisation != "" && s.Organisation != cmp.Or(p.Organisation, c.Teams[p.Team].Organisation) {
		report(at+".organisation", fmt.Sprintf("the customer %q is not part of the organisation %q", s.Customer, s.Organisation), "name the customer alone: its organisation goes with it")
	}
	if s.MayNameCustomers && s.Customer != "" {
		report(at+".may_name_customers", "the key has a customer, so that its callers name none", "remove one of the two")
	}
	checkPatterns(at+".models", s.Models, report)
	checkSurfaces(at+".surfaces", s.Surfaces, report)
	for i, text := range s.Networks {
		if _, err := ParseNetwork(text); err != nil {
			report(fmt.Sprintf("%s.networks[%d]", at, i), fmt.Sprintf("%q is no network", text), "write one such as 10.0.0.0/8, or an address")
		}
	}
	checkTurn(at, s.Priority, s.Weight, report)
	(account.Rules{Limits: s.Limits, Budgets: s.Budgets}).Validate(at, report)
}

// implied are the customers that stand at a static key alone, where the file has
// no section for them.
func (c Setting) implied() map[ref]partyDoc {
	docs := map[ref]partyDoc{}
	for _, s := range c.Keys.Static {
		if s.Customer != "" && len(c.Customers) == 0 {
			docs[ref{account.Customer, s.Customer}] = partyDoc{config: PartyConfig{Organisation: s.Organisation, Team: s.Team}}
		}
	}
	return docs
}

// docs finds the parties of the file by name.
func (c Setting) docs() map[ref]partyDoc {
	docs := map[ref]partyDoc{}
	for level, list := range map[account.Level]map[string]PartyConfig{
		account.Organisation: c.Organisations, account.Team: c.Teams, account.Customer: c.Customers,
	} {
		for name, config := range list {
			docs[ref{level, name}] = partyDoc{config: config, file: true}
		}
	}
	return docs
}

func checkPatterns(at string, patterns []string, report report) {
	for i, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			report(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("%q is not a pattern", pattern), "use * and ? as in gpt-*")
		}
	}
}

// checkSurfaces reports patterns that fit no operation and no dialect.
func checkSurfaces(at string, patterns []string, report report) {
	names := surfaces()
	for i, pattern := range patterns {
		if !slices.ContainsFunc(names, func(name string) bool { return matches([]string{pattern}, name) }) {
			report(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("%q fits no operation and no dialect", pattern), "use one of "+strings.Join(names, ", ")+suggest.Phrase(suggest.Nearest(pattern, names)))
		}
	}
}

// surfaces are the words that a key's surfaces may hold.
func surfaces() []string {
	var names []string
	for _, op := range []llm.Op{
		llm.OpGenerate, llm.OpEmbed, llm.OpCount, llm.OpRerank, llm.OpTranscribe, llm.OpTranslateAudio, llm.OpSpeech, llm.OpImage, llm.OpModerate,
		llm.OpFile, llm.OpBatch, llm.OpResponse, llm.OpRealtime, llm.OpTokenize, llm.OpDetokenize, llm.OpInvoke,
	} {
		names = append(names, string(op))
	}
	for _, d := range []llm.Dialect{llm.Chat, llm.Responses, llm.Anthropic, llm.Completions, llm.Embeddings, llm.Gemini, llm.Converse} {
		names = append(names, string(d))
	}
	return names
}

func printable(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
