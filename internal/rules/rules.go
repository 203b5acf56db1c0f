// Package rules evaluates conditions about a request: the `when:` of the config.
//
// It owns what a condition may ask about ([Facts]) and its language, which is
// that of github.com/expr-lang/expr, typed when it is compiled. It never knows
// what follows when one holds: package models does.
//
// Start reading at [Compile]. A Condition is immutable and safe for concurrent
// use.
package rules

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// Facts is what a condition may ask about, by the names in the tags.
type Facts struct {
	Model        string   `expr:"model"` // as the client wrote it
	Customer     string   `expr:"customer"`
	Team         string   `expr:"team"`
	Organisation string   `expr:"organisation"`
	Key          string   `expr:"key"` // its name
	Tags         []string `expr:"tags"`
	Session      string   `expr:"session"`
	Operation    string   `expr:"operation"` // generate, embed, ...
	Dialect      string   `expr:"dialect"`   // chat, anthropic, ...
	Stream       bool     `expr:"stream"`
	Bytes        int      `expr:"bytes"`        // of the body
	InputTokens  int      `expr:"input_tokens"` // estimated
	MaxTokens    int      `expr:"max_tokens"`   // that the client asks for; 0 when it states none
	Hour         int      `expr:"hour"`         // 0 to 23, UTC
	Weekday      string   `expr:"weekday"`      // mon, tue, ..., UTC
	Date         string   `expr:"date"`         // 2026-11-29, UTC
}

// At fills in the facts about a time.
func (f *Facts) At(now time.Time) {
	now = now.UTC()
	f.Hour, f.Weekday, f.Date = now.Hour(), strings.ToLower(now.Weekday().String()[:3]), now.Format(time.DateOnly)
}

// Condition is a compiled expression.
type Condition struct {
	text    string
	program *vm.Program
}

// longest bounds an expression: one that is longer is no condition but a program.
const longest = 4096

// Compile checks an expression and makes it ready. The error names the column.
func Compile(text string) (*Condition, error) {
	if len(text) > longest {
		return nil, fmt.Errorf("the condition is longer than %d bytes", longest)
	}
	program, err := expr.Compile(text, expr.Env(Facts{}), expr.AsBool())
	if err != nil {
		if at, ok := errors.AsType[*file.Error](err); ok {
			return nil, fmt.Errorf("%s at column %d", at.Message, at.Column+1)
		}
		return nil, err
	}
	return &Condition{text, program}, nil
}

// Holds reports whether the condition is true of the facts. An error in the
// middle of it (an index beyond the end of a list) is a condition that does not
// hold, and is returned to be told.
func (c *Condition) Holds(f *Facts) (bool, error) {
	out, err := expr.Run(c.program, *f)
	if err != nil {
		return false, fmt.Errorf("condition %q: %w", c.text, err)
	}
	holds, _ := out.(bool)
	return holds, nil
}

// String is the expression as it was written.
func (c *Condition) String() string { return c.text }
