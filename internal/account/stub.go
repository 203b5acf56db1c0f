// Package account is a stand-in until its branch is merged.
package account

import (
	"context"
	"time"
)

type Level uint8

const (
	Organisation Level = iota
	Team
	Customer
	Key
	Model
	Target
)

func (l Level) String() string {
	return [...]string{"organisation", "team", "customer", "key", "model", "target"}[l]
}

type Rates string

func (r Rates) MarshalText() ([]byte, error)  { return []byte(r), nil }
func (r *Rates) UnmarshalText(b []byte) error { *r = Rates(b); return nil }

type Money string

func (r Money) MarshalText() ([]byte, error)  { return []byte(r), nil }
func (r *Money) UnmarshalText(b []byte) error { *r = Money(b); return nil }

type Limits struct {
	Requests     Rates `yaml:"requests" json:"requests,omitempty"`
	Tokens       Rates `yaml:"tokens" json:"tokens,omitempty"`
	InputTokens  Rates `yaml:"input_tokens" json:"input_tokens,omitempty"`
	OutputTokens Rates `yaml:"output_tokens" json:"output_tokens,omitempty"`
	Concurrent   int   `yaml:"concurrent" json:"concurrent,omitempty"`
}

type Budget struct {
	Amount Money  `yaml:"amount" json:"amount"`
	Per    string `yaml:"per" json:"per"`
	Hard   bool   `yaml:"hard" json:"hard,omitempty"`
	Strict bool   `yaml:"strict" json:"strict,omitempty"`
	Warn   string `yaml:"warn" json:"warn,omitempty"`
}

type Rules struct {
	Limits  Limits   `yaml:"limits" json:"limits,omitzero"`
	Budgets []Budget `yaml:"budgets" json:"budgets,omitempty"`
}

func (r Rules) IsZero() bool { return r.Limits == Limits{} && len(r.Budgets) == 0 }

func (r Rules) Validate(path string, report func(path, wrong, right string)) {}

type Account struct {
	Level Level
	Name  string
	Rules Rules
}

type Options struct{}

type Accounts struct{}

func New(Options) *Accounts { return &Accounts{} }

func (a *Accounts) Account(level Level, name string, r Rules, now time.Time) *Account {
	if r.IsZero() {
		return nil
	}
	return &Account{level, name, r}
}

func (a *Accounts) Load(ctx context.Context, now time.Time) error { return nil }
