package gateway

import (
	"tailplane/internal/dialect"
	"tailplane/internal/wire"
)

// What few bodies hold and every body is searched for: once, and what it means is
// looked at only where it is there.
const (
	wordTags = iota
	wordModels
	wordProvider
	wordSignature // this one and those after it
)

func newWords() *wire.Words {
	return wire.NewWords(append([]string{wordTags: `tags"`, wordModels: `models"`, wordProvider: `provider"`}, dialect.WrappedSignatures()...)...)
}

// mentions says whether the body seems to have a string that is a word, or that
// begins with one after it where the word is the last.
func (c *call) mentions(word int) bool {
	if !c.searched {
		c.said, c.searched = c.gateway.words.In(c.body), true
	}
	if word == wordSignature {
		return c.said>>word != 0
	}
	return c.said>>word&1 != 0
}
