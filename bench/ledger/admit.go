//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/policy"
)

// admit measures who calls, for whom and how much, together: a key is found among
// 100,000, and its request takes from the limits and budgets of its organisation,
// team, customer and key, and gives back. The texts are laid out beforehand, a block
// at a time: that of a request has just been read.
func admit(ctx context.Context, out io.Writer) error {
	const keys, rounds = 100_000, 500_000
	now := time.Now()
	accounts := account.New(account.Options{})
	store := policy.NewStore(policy.NewPepper([32]byte{1}), accounts)
	var rules account.Rules
	if err := rules.Limits.Requests.UnmarshalText([]byte("1G/s")); err != nil {
		return err
	}
	if err := rules.Limits.Tokens.UnmarshalText([]byte("1000G/s")); err != nil {
		return err
	}
	rules.Limits.Concurrent = 1000
	if err := accounts.Load(ctx, now); err != nil {
		return err
	}
	party := policy.PartyConfig{Limits: rules.Limits}
	setting := policy.Setting{
		Organisations: map[string]policy.PartyConfig{"northwind": party},
		Teams:         map[string]policy.PartyConfig{"search": {Organisation: "northwind", Limits: rules.Limits}},
		Customers:     map[string]policy.PartyConfig{"acme": {Team: "search", Organisation: "northwind", Limits: rules.Limits}},
	}
	ks, err := policy.NewKeys(setting, store)
	if err != nil {
		return err
	}
	ks.Use(now)
	texts := make([]string, keys)
	for i := range texts {
		order := policy.Order{KeySpec: policy.KeySpec{Name: fmt.Sprintf("k%d", i), Customer: "acme", Rules: rules}}
		text, _, err := store.CreateKey(ctx, "bench", order, now)
		if err != nil {
			return err
		}
		texts[i] = text.Reveal()
	}
	estimates := account.NewEstimator(0)
	chain := make([]*account.Account, 0, 8)
	var h account.Hold
	one := func(text string) error {
		key := ks.Find(text, now)
		if key == nil {
			return errors.New("a key is not found")
		}
		who, _, no := ks.Attribute(key, policy.Claim{})
		if no != nil {
			return no
		}
		chain = key.AppendChain(chain[:0], who)
		in, most := estimates.Estimate("chat", key.ID, 1200, 512)
		if no := accounts.Reserve(ctx, &h, chain, account.Want{Start: now, Input: in, Output: most, Nano: 1000, Bound: 2000}); no != nil {
			return no
		}
		h.Settle(now, account.Used{Input: 400, Output: 90, Nano: 800})
		return nil
	}
	var spent time.Duration
	block := make([]string, 1000)
	for i := 0; i < rounds; i += len(block) {
		for k := range block {
			block[k] = texts[(i+k)*7919%keys]
		}
		read := strings.Join(block, " ")
		begin := cpu()
		for text := range strings.SplitSeq(read, " ") {
			if err := one(text); err != nil {
				return err
			}
		}
		spent += cpu() - begin
	}
	each := float64(spent) / rounds / 1000
	figure(out, "auth, attribution, estimate, reserve and settle, 100,000 keys", each, 2, "us CPU", false)
	return nil
}
