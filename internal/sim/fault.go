package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rules of this file: a fault is a value; the table below is the whole list;
// faults.go plays them.

// FaultKind names a way to fail.
type FaultKind string

// The kinds of fault. Those with a count act after that many events of a
// stream; an event is one "data:" block, the one with the role included.
const (
	FaultNone      FaultKind = "ok"
	FaultLimited   FaultKind = "429"             // rate limited; optional duration is retry-after (1s)
	FaultInternal  FaultKind = "500"             // JSON error
	FaultOverload  FaultKind = "503"             // JSON error
	FaultStall     FaultKind = "stall"           // head and N events (0), then silence until the client leaves
	FaultCut       FaultKind = "cut"             // the connection breaks after N events (0)
	FaultSlow      FaultKind = "slow"            // a pause before the request reaches the engine
	FaultGarbage   FaultKind = "garbage"         // 200 with a body that is no JSON
	FaultHTML      FaultKind = "html"            // 200 with a web page, as a captive proxy answers
	FaultInStream  FaultKind = "error-in-stream" // 200 whose first event is an error object
	FaultLateError FaultKind = "late-error"      // an error event after N events (1)
	FaultTruncate  FaultKind = "truncate"        // clean end without finish_reason and [DONE], after N events (all content)
	FaultRefuse    FaultKind = "refuse"          // the connection closes without an answer
)

// Fault is one scripted fault. The zero value is none.
type Fault struct {
	Kind  FaultKind
	After int           // events before it acts; -1 means after all content
	Delay time.Duration // for slow and 429
}

// faultArg says what may follow a kind's "=".
type faultArg int

const (
	argNone faultArg = iota
	argCount
	argDuration
)

type faultRule struct {
	kind     FaultKind
	arg      faultArg
	required bool
	fault    Fault // without an argument
}

func faultTable() []faultRule {
	return []faultRule{
		{kind: FaultNone},
		{kind: FaultLimited, arg: argDuration, fault: Fault{Kind: FaultLimited, Delay: time.Second}},
		{kind: FaultInternal, fault: Fault{Kind: FaultInternal}},
		{kind: FaultOverload, fault: Fault{Kind: FaultOverload}},
		{kind: FaultStall, arg: argCount, fault: Fault{Kind: FaultStall}},
		{kind: FaultCut, arg: argCount, fault: Fault{Kind: FaultCut}},
		{kind: FaultSlow, arg: argDuration, required: true, fault: Fault{Kind: FaultSlow}},
		{kind: FaultGarbage, fault: Fault{Kind: FaultGarbage}},
		{kind: FaultHTML, fault: Fault{Kind: FaultHTML}},
		{kind: FaultInStream, fault: Fault{Kind: FaultInStream}},
		{kind: FaultLateError, arg: argCount, fault: Fault{Kind: FaultLateError, After: 1}},
		{kind: FaultTruncate, arg: argCount, fault: Fault{Kind: FaultTruncate, After: -1}},
		{kind: FaultRefuse, fault: Fault{Kind: FaultRefuse}},
	}
}

// ParseFault reads a fault in its text form: a kind, or kind=N, or
// kind=DURATION, as in "cut=3" or "slow=2s". Empty text is no fault.
func ParseFault(s string) (Fault, error) {
	name, arg, given := strings.Cut(strings.TrimSpace(s), "=")
	if name == "" && !given {
		return Fault{}, nil
	}
	table := faultTable()
	for _, rule := range table {
		if string(rule.kind) == name {
			return rule.parse(arg, given)
		}
	}
	known := make([]string, len(table))
	for i, rule := range table {
		known[i] = string(rule.kind)
	}
	return Fault{}, fmt.Errorf("sim: unknown fault %q: want one of %s", name, strings.Join(known, ", "))
}

func (r faultRule) parse(arg string, given bool) (Fault, error) {
	f := r.fault
	switch {
	case !given && r.required:
		return Fault{}, fmt.Errorf("sim: fault %q needs a duration, as in %q", r.kind, string(r.kind)+"=2s")
	case !given:
		return f, nil
	}
	switch r.arg {
	case argCount:
		n, err := strconv.Atoi(arg)
		if err != nil || n < 0 {
			return Fault{}, fmt.Errorf("sim: fault %q has count %q: want a number of events, 0 or more, as in %q", r.kind, arg, string(r.kind)+"=3")
		}
		f.After = n
	case argDuration:
		d, err := time.ParseDuration(arg)
		if err != nil || d < 0 {
			return Fault{}, fmt.Errorf("sim: fault %q has duration %q: want zero or more with a unit, as in %q", r.kind, arg, string(r.kind)+"=2s")
		}
		f.Delay = d
	default:
		return Fault{}, fmt.Errorf("sim: fault %q takes no argument, got %q", r.kind, arg)
	}
	return f, nil
}

// ParseScript reads faults separated by commas, one per request: "429,429,ok".
func ParseScript(s string) ([]Fault, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var script []Fault
	for part := range strings.SplitSeq(s, ",") {
		f, err := ParseFault(part)
		if err != nil {
			return nil, fmt.Errorf("script entry %d: %w", len(script)+1, err)
		}
		script = append(script, f)
	}
	return script, nil
}

// String is the form ParseFault reads.
func (f Fault) String() string {
	switch f.Kind {
	case "":
		return string(FaultNone)
	case FaultSlow, FaultLimited:
		return string(f.Kind) + "=" + f.Delay.String()
	case FaultStall, FaultCut, FaultLateError:
		return string(f.Kind) + "=" + strconv.Itoa(f.After)
	case FaultTruncate:
		if f.After >= 0 {
			return string(f.Kind) + "=" + strconv.Itoa(f.After)
		}
	}
	return string(f.Kind)
}
