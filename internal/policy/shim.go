package policy

import (
	"net/netip"
	"slices"

	"tailplane/internal/account"
)

type Party struct {
	Level   account.Level
	Name    string
	Parent  *Party
	Models  []string
	Account *account.Account
}

func (p *Party) MayCall(model string) bool { return (&Key{Models: p.Models}).MayCall(model) }

type Claim struct{ Customer, From string }

func (k *Key) MayUse(op, dialect string) bool { return true }
func (k *Key) MayFrom(at netip.Addr) bool {
	return slices.ContainsFunc(k.Networks, func(n netip.Prefix) bool { return n.Contains(at) })
}

func (k *Keys) Attribute(key *Key, c Claim) (*Party, string, error) { return key.Party, "key", nil }
func (k *Keys) CustomerHeaders() []string                           { return nil }
func CustomerMembers() []string                                     { return nil }
func SessionHeaders() []string                                      { return nil }
func TagHeaders() []string                                          { return nil }
func CleanTags(tags []string) ([]string, int)                       { return tags, 0 }
