package replay

import "time"

// Trace is recorded traffic. It is read-only and may be played many times, at
// once, too.
type Trace struct {
	Format string // mooncake, agentic or azure
	Block  int    // tokens of a block; ids name whole blocks of a prompt
	Lane   int    // blocks after which an open request is told from others; 0 where all are alike
	// Requests come by the clock, whatever became of those before them (an open
	// loop). In order of At; the first is at zero.
	Requests []Request
	// Sessions come one after the other, and each request when the one before is
	// answered and thought about (a closed loop). A trace has one of the two.
	Sessions []Session
}

// Request is one call of a model.
type Request struct {
	At     time.Duration // after the beginning of an open trace
	Think  time.Duration // since the end of the one before, in a session
	Input  int           // tokens
	Output int           // tokens, at least 1
	Runs   []Span        // the ids of the prompt's blocks
	// Goes is set where the next prompt of the session begins with this prompt:
	// its further blocks hold what was generated.
	Goes []Span
}

// Span is ids that follow each other.
type Span struct {
	Start int64
	Count int
}

// Session is the calls of one agent.
type Session struct {
	ID    string
	Lane  int // blocks after which it is told from other sessions
	Steps []Step
}

// Step is what a session does next: one branch, or several at the same time. It
// is over when all branches are. Within a branch the requests follow each other.
type Step [][]Request

// Size is how many requests a trace has.
func (t *Trace) Size() int {
	n := len(t.Requests)
	for i := range t.Sessions {
		n += t.Sessions[i].size()
	}
	return n
}

func (s *Session) size() int {
	n := 0
	for _, step := range s.Steps {
		for _, branch := range step {
			n += len(branch)
		}
	}
	return n
}
