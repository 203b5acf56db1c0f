package dialect

import (
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// lossList gathers losses, each once.
type lossList struct{ all []llm.Loss }

func (l *lossList) add(feature, detail string) {
	for _, have := range l.all {
		if have.Feature == feature && have.Detail == detail {
			return
		}
	}
	l.all = append(l.all, llm.Loss{Feature: feature, Detail: detail})
}

// extra declares the loss of each member that only another dialect than d
// knows. An empty one says nothing, but for chat's web_search_options, which asks
// for a search by being there.
func (l *lossList) extra(path string, e llm.Extra, d llm.Dialect) {
	if e.Dialect == d || len(e.Members) == 0 {
		return
	}
	o, err := openObject(e.Members, where{})
	if err != nil {
		l.add(join(path, "*"), string(d)+" has no place for it")
		return
	}
	for i := range o.members {
		if m := &o.members[i]; !isEmpty(m.value) || m.is(chatSearchOptions) && !wire.IsNull(m.value) {
			l.add(join(path, m.name()), string(d)+" has no place for it")
		}
	}
}

// usage is extra for a usage object, in which zero says nothing.
func (l *lossList) usage(e llm.Extra, d llm.Dialect) {
	o := kept(e.Members)
	if e.Dialect == d || o == nil {
		return
	}
	for i := range o.members {
		if m := &o.members[i]; !saysNothing(m.value) {
			l.add("usage."+m.name(), string(d)+" has no place for it")
		}
	}
}

// none declares what d cannot say at all.
func (l *lossList) none(feature string, d llm.Dialect) {
	l.add(feature, string(d)+" has no equivalent")
}

// one declares that d gives one answer.
func (l *lossList) one(d llm.Dialect) {
	l.add("choices", string(d)+" gives one answer; the first is told")
}

// placeless declares a part that an answer of d cannot hold.
func (l *lossList) placeless(kind llm.PartKind, d llm.Dialect) {
	l.add("content", "an answer of "+string(d)+" has no place for part kind "+strconv.Itoa(int(kind)))
}

// firstChoice is the choice of an answer that d tells, which is the first.
func (l *lossList) firstChoice(reply *llm.Reply, d llm.Dialect) (c llm.Choice) {
	l.extra("", reply.Extra, d)
	if len(reply.Choices) > 0 {
		c = reply.Choices[0]
	}
	if len(reply.Choices) > 1 {
		l.one(d)
	}
	l.extra("choices", c.Extra, d)
	if len(c.Logprobs) > 0 {
		l.none("logprobs", d)
	}
	return c
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// anthropicNoEquivalent is the detail of what Anthropic cannot say at all.
const anthropicNoEquivalent = "anthropic has no equivalent"
