package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Claim is who a request says it is for.
type Claim struct {
	Customer string // as it was said; empty: nothing was said
	From     string // where: a header, a member of the body, or jwt or mtls
	// Proven says that it stands in a verified token or certificate, so that
	// the key needs no right to say it. From is then jwt or mtls.
	Proven bool
}

// How a customer is known, as the ledger has it.
const (
	ByKey        = "key"
	ByClaim      = "claim"
	ByQuarantine = "quarantine"
	Unclaimed    = "unclaimed" // it is not: there was a claim, without the right to it
)

// ClaimHeaders are the headers that may name a customer, the first that is there
// counts: our own, those of the file, then those that other gateways read.
func (k *Keys) ClaimHeaders() []string {
	return slices.Concat([]string{"x-tailplane-customer"}, k.setting.Keys.CustomerHeaders,
		[]string{"x-litellm-customer-id", "x-litellm-end-user-id", "x-bf-customer-id"})
}

// ClaimMembers are the members of a body that may name one, after the headers.
func ClaimMembers() []string {
	return []string{"user", "safety_identifier", "metadata.user_id", "litellm_metadata.user"}
}

// TagHeaders are the headers with tags, separated by commas; the tags of all
// count.
func TagHeaders() []string { return []string{"x-tailplane-tags", "x-litellm-tags"} }

// TagMembers are the members of a body with a list of tags.
func TagMembers() []string { return []string{"metadata.tags", "litellm_metadata.tags"} }

// SessionHeaders are the headers that may name a session, the first counts.
func SessionHeaders() []string {
	return []string{"x-tailplane-session", "x-litellm-session-id", "x-bf-session-id", "x-session-id"}
}

// The codes of a [Refusal].
const (
	CodeUnknownCustomer = "unknown_customer"
	CodeDisabled        = "disabled"
	CodeBroken          = "key_broken"
)

// Refusal is why a request is not served for who it is for.
type Refusal struct {
	Code    string
	Message string // for the caller: what, and what to do
}

func (r *Refusal) Error() string { return r.Message }

// Attribute says on whose behalf a request of a key is: the nearest party, which
// is nil where there is none, and how its customer is known. The key's own
// customer comes first, then a claim, which is honoured where the key has the
// right and the customer is within the key's party. It allocates nothing unless
// it refuses.
func (k *Keys) Attribute(key *Key, c Claim) (p *Party, how string, no *Refusal) {
	if key.broken != "" {
		return nil, "", &Refusal{CodeBroken, fmt.Sprintf("the key cannot be used: %s; ask its operator to correct the key", key.broken)}
	}
	p, how, no = k.whose(key, c)
	if off := p.disabled(); no == nil && off != nil {
		return nil, "", &Refusal{CodeDisabled, fmt.Sprintf("the %s is switched off; ask its operator", off)}
	}
	return p, how, no
}

func (k *Keys) whose(key *Key, c Claim) (*Party, string, *Refusal) {
	switch {
	case key.Customer != "":
		return key.party, ByKey, nil
	case c.Customer == "":
		return key.party, "", nil
	case !key.MayNameCustomers && !c.Proven:
		return key.party, Unclaimed, nil
	}
	d := k.dir.Load()
	if p := d.customer(c.Customer); p != nil && p.broken == "" && p.within(key.party) {
		if c.Proven {
			return p, c.From, nil
		}
		return p, ByClaim, nil
	}
	if d.quarantine == nil {
		return nil, "", &Refusal{CodeUnknownCustomer, fmt.Sprintf("%s names the customer %q, whom the key may not name or who is not there; "+
			"make the customer first, correct the name, or leave it out", c.From, short(c.Customer))}
	}
	if key.party != nil {
		return key.party.quarantine, ByQuarantine, nil
	}
	return d.quarantine, ByQuarantine, nil
}

// Customer returns the customer with a name, or nil.
func (k *Keys) Customer(name string) *Party { return k.dir.Load().customer(name) }

func short(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	for i := most; i > most-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			return text[:i] + "..."
		}
	}
	return text[:most] + "..."
}

// What is kept of a caller's tags.
const (
	mostTags   = 16
	longestTag = 64 // bytes
)

// CleanTags sorts tags and leaves out those that stand twice, which changes the
// list that it is given; and those that are empty, too long, not printable, hold
// a comma, or are too many. It returns how many of the latter there were.
func CleanTags(tags []string) (clean []string, dropped int) {
	for i, t := range tags {
		tags[i] = strings.TrimSpace(t)
	}
	n := len(tags)
	clean = slices.DeleteFunc(tags, func(t string) bool {
		return t == "" || len(t) > longestTag || !utf8.ValidString(t) || strings.ContainsFunc(t, func(r rune) bool { return r == ',' || !unicode.IsPrint(r) })
	})
	dropped = n - len(clean)
	slices.Sort(clean)
	clean = slices.Compact(clean)
	if more := len(clean) - mostTags; more > 0 {
		clean, dropped = clean[:mostTags], dropped+more
	}
	return clean, dropped
}

// longestSession bounds what is kept of a caller's session.
const longestSession = 128

// CleanSession is a caller's name for a session as the ledger keeps it: cut, and
// empty when it is not printable.
func CleanSession(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > longestSession {
		cut := longestSession
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	if !utf8.ValidString(text) || !printable(text) {
		return ""
	}
	return text
}
