package dialect

import "tailplane/internal/llm"

// stopWord is a dialect's word for why an answer ended.
type stopWord struct {
	word   string
	reason llm.StopReason
}

// stopTable maps the words of one dialect. The first word of a reason is the
// one that is written, and the first reason of a word the one that is read.
type stopTable struct {
	dialect llm.Dialect
	words   []stopWord
}

// reason is what word means; an empty word means nothing yet.
func (t *stopTable) reason(word []byte) llm.StopReason {
	if len(word) == 0 {
		return ""
	}
	for i := range t.words {
		if t.words[i].word == string(word) {
			return t.words[i].reason
		}
	}
	return llm.StopOther
}

// stop reads a word. It is kept where it is not the one that its reason is
// written as.
func (t *stopTable) stop(word string) llm.Stop {
	stop := llm.Stop{Reason: t.reason([]byte(word))}
	if t.word(stop) != word {
		stop.Wire, stop.By = word, t.dialect
	}
	return stop
}

// say is what a stop of an answer is called, be it by the first word of the table,
// which is a loss.
func (t *stopTable) say(stop llm.Stop, l *lossList) string {
	word := t.word(stop)
	if word == "" {
		l.add("stop_reason", string(t.dialect)+" has no word for "+string(stop.Reason)+" "+stop.Wire)
		word = t.words[0].word
	}
	return word
}

// word is what a stop is called in the dialect; "" when it has no word for it.
func (t *stopTable) word(stop llm.Stop) string {
	if stop.By == t.dialect && stop.Wire != "" {
		return stop.Wire
	}
	for i := range t.words {
		if t.words[i].reason == stop.Reason {
			return t.words[i].word
		}
	}
	return ""
}
