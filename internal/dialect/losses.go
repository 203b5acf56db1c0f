package dialect

import "tailplane/internal/llm"

// lossList gathers losses, each feature once.
type lossList struct{ all []llm.Loss }

func (l *lossList) add(feature, detail string) {
	for _, have := range l.all {
		if have.Feature == feature {
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
	o, err := parseObject(e.Members, nil)
	if err != nil {
		l.add(path, string(d)+" has no place for it")
		return
	}
	for i := range o.members {
		l.add(join(path, o.members[i].name), string(d)+" has no place for it")
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
