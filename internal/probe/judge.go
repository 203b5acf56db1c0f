package probe

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/suggest"
	"tailplane/internal/upstream"
)

// Verdict is how a target stands.
type Verdict string

// The verdicts, from good to bad.
const (
	OK         Verdict = "ok"
	NotChecked Verdict = "not checked" // nobody can say before there is traffic
	Problem    Verdict = "problem"
)

// Finding is one thing that was found out: what, and what to do about it.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	What    string  `json:"what"`
	Do      string  `json:"do,omitempty"`
}

// Result is all that was found out about a target. Its verdict is the worst of
// its findings; it is OK with none but good ones.
type Result struct {
	Target   string    `json:"target"`
	Kind     string    `json:"kind"`
	Key      string    `json:"key,omitempty"` // of several
	Verdict  Verdict   `json:"verdict"`
	Findings []Finding `json:"findings"`
}

// Facts are what was seen of a target.
type Facts struct {
	Subject
	Answers []Answer
}

// Answer is what came of a question.
type Answer struct {
	upstream.Question
	Status int        // 0: no answer came
	Fault  *llm.Fault // of the way, the credential or the answer
	Skew   string     // what is wrong with the clock here
	Models []string
	Listed bool // the answer is a list
	Whole  bool // and it is complete
}

// Judge says what the facts mean.
func Judge(f Facts) Result {
	r := Result{Target: f.Name, Kind: f.Kind, Key: f.Key, Verdict: OK, Findings: []Finding{}}
	switch {
	case f.Err != nil:
		what, do, _ := strings.Cut(f.Err.Error(), "; ")
		r.add(Problem, what, do)
	case len(f.Answers) == 0:
		r.add(OK, "it is in this process", "")
	default:
		r.answers(f)
	}
	return r
}

func (r *Result) add(v Verdict, what, do string) {
	r.Findings = append(r.Findings, Finding{v, what, do})
	if v == Problem || v == NotChecked && r.Verdict == OK {
		r.Verdict = v
	}
}

// answers judges the answers of a target. What is said of the clock is said
// once, and beside a refused credential it is that one's reason.
func (r *Result) answers(f Facts) {
	for i := range f.Answers {
		if skew := f.Answers[i].Skew; skew != "" {
			what, do, _ := strings.Cut(skew, ": ")
			r.add(Problem, what, do)
			break
		}
	}
	credential := false
	for i := range f.Answers {
		a := &f.Answers[i]
		if a.Fault != nil && !a.answered() {
			credential = credential || a.Fault.Kind == llm.FaultCredential
			r.fault(a)
		}
	}
	if r.Verdict != Problem || !credential {
		r.reached(f)
	}
	r.models(f)
}

// reached adds the good news.
func (r *Result) reached(f Facts) {
	first := &f.Answers[0]
	switch {
	case first.Status == 0:
	case first.Status/100 == 2 && f.Target != nil && !f.Target.Keyed():
		r.add(OK, "it answers; it asks for no credential that is known here", "")
	case first.Status/100 == 2:
		r.add(OK, "it answers and takes the credential", "")
	case first.answered() && first.Lists:
		r.add(NotChecked, fmt.Sprintf("GET %s is answered with HTTP %d: neither the credential nor the models could be looked at", first.Path, first.Status), "if requests fail, too, see whether the path of url: is right")
	case first.answered():
		r.add(OK, "it answers", "")
	}
}

// answered reports an answer that says no more than that somebody is there: the
// path is not served.
func (a *Answer) answered() bool {
	return a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed || a.Status == http.StatusNotImplemented
}

// fault adds what went wrong with a question, in the words of the fault.
func (r *Result) fault(a *Answer) {
	what, do := a.Fault.Message, a.Fault.Detail
	if a.Status != 0 {
		what = fmt.Sprintf("HTTP %d: %s", a.Status, strings.TrimSuffix(what, "."))
	}
	switch {
	case a.forbidsAsking():
		r.add(NotChecked, "the credential may not list models ("+what+")", "requests need no such permission; give it to have the models looked at")
	case a.Aside && a.Fault.Kind != llm.FaultCredential:
		r.add(NotChecked, "the list of models cannot be had from "+a.Host+": "+what, do)
	case a.Fault.Kind == llm.FaultRateLimit || a.Fault.Kind == llm.FaultOverloaded:
		r.add(NotChecked, what, "it has no room now; check again")
	default:
		r.add(Problem, what, do)
	}
}

// asking are words of refusals that concern the question alone: AWS's, OpenAI's
// restricted keys', Google's.
var asking = []string{"not authorized to perform: bedrock:list", "missing scopes: api.model.read", "permission 'aiplatform.publishermodels"}

func (a *Answer) forbidsAsking() bool {
	text := strings.ToLower(a.Fault.Message)
	return a.Status == http.StatusForbidden && slices.ContainsFunc(asking, func(words string) bool { return strings.Contains(text, words) })
}

// models compares what the config names with what the target lists.
func (r *Result) models(f Facts) {
	if len(f.Models) == 0 {
		return
	}
	var list []string
	whole, lists := true, 0
	for _, a := range f.Answers {
		switch {
		case a.Partly != "":
			r.add(NotChecked, "models: "+a.Partly, "")
			return
		case a.Lists && !a.Listed:
			if a.Status/100 == 2 {
				r.add(NotChecked, "models: the answer to GET "+a.Path+" is no list of models", "see whether the path of url: is right")
			}
			return // it is told above why there is no list
		case a.Lists:
			list, whole = append(list, a.Models...), whole && a.Whole
			lists++
		}
	}
	if lists == 0 {
		return
	}
	there := 0
	for _, name := range f.Models {
		switch {
		case strings.HasPrefix(name, "arn:") || strings.Contains(name, "endpoints/"):
			r.add(NotChecked, fmt.Sprintf("%q is no model that a list has", name), "")
		case upstream.Lists(list, name):
			there++
		case !whole:
			r.add(NotChecked, fmt.Sprintf("model %q is not on the first page of its list", name), "")
		default:
			r.add(Problem, fmt.Sprintf("it does not list model %q", name), strings.TrimPrefix(near(name, list), "; "))
		}
	}
	if there > 0 {
		r.add(OK, fmt.Sprintf("%d of %d models are there", there, len(f.Models)), "")
	}
}

// near suggests what was meant, or where to look.
func near(name string, list []string) string {
	if phrase := suggest.Phrase(suggest.Nearest(name, list)); phrase != "" {
		return phrase
	}
	return "name one that it serves, or see whether the account, region or server has it"
}
