package dialect

import "tailplane/internal/llm"

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
// knows.
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
		if m := &o.members[i]; !isEmpty(m.value) {
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

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// antNoEquivalent is the detail of what Anthropic cannot say at all.
const antNoEquivalent = "anthropic has no equivalent"
