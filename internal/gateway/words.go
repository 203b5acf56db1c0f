package gateway

import (
	"tailplane/internal/dialect"
	"tailplane/internal/wire"
)

// What few bodies hold and every body is asked for. The glance hears of it, and
// more is done only where it is there.
const (
	wordTags = iota
	wordModels
	wordProvider
	wordSignature // this one and those after it
)

func newWords() *wire.Words {
	return wire.NewWords(append([]string{wordTags: `tags"`, wordModels: `models"`, wordProvider: `provider"`}, dialect.WrappedSignatures()...)...)
}

// mentions says whether the body has a string that is a word, or that begins with
// one of the signatures'. What is forwarded was not read, and may have any.
func (c *call) mentions(word int) bool {
	if word == wordSignature {
		return c.at.Heard.Said>>word != 0
	}
	return c.at.Heard.Said>>word&1 != 0 || c.surface.forward != nil
}
