package admin

import (
	"encoding/json"
	"slices"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

// What the narrow roles are told is listed here, member by member: a member that
// the ledger gets later is not among it by accident.

// Record is an exchange as a viewer sees it. It marshals to the members that the
// viewer's role is told, and to [ledger.Exchange] for those who see all.
type Record struct {
	exchange *ledger.Exchange
	viewer   Viewer
}

// MarshalJSON implements json.Marshaler.
func (r Record) MarshalJSON() ([]byte, error) {
	if !r.viewer.narrow() {
		return json.Marshal(r.exchange)
	}
	ex := r.exchange
	told := told{
		ID: ex.ID, Start: ex.Start, Op: ex.Op, Dialect: ex.Dialect, Model: ex.Model, Stream: ex.Stream, Bytes: ex.Bytes,
		Outcome: ex.Outcome, Status: ex.Status, Fault: ex.Fault,
		FirstToken: ex.FirstToken, Total: ex.Total, Events: ex.Events, ITLMax: ex.ITLMax, SentBytes: ex.SentBytes,
	}
	if r.viewer.Role == CustomerViewer {
		told.Customer, told.TraceID, told.Session, told.Tags = ex.Customer, ex.TraceID, ex.Session, ex.Tags
		told.Usage = &ex.Usage
		return json.Marshal(told)
	}
	for _, a := range ex.Attempts {
		if slices.Contains(r.viewer.Targets, a.Target) {
			told.Attempts = append(told.Attempts, attemptTold{
				Target: a.Target, Kind: a.Kind, Model: a.Model, Dialect: a.Dialect, Why: a.Why, Waited: a.Waited,
				Begin: a.Begin, Reused: a.Reused, Connect: a.Connect, Head: a.Head, FirstToken: a.FirstToken, Took: a.Took,
				Status: a.Status, Upstream: a.Upstream, Stop: a.Stop, Fault: a.Fault, Phase: a.Phase, Retry: a.Retry,
				After: a.After, Code: a.Code, Message: a.Message, Usage: a.Usage,
			})
		}
	}
	return json.Marshal(told)
}

// told is what the narrow roles see of an exchange, spelled as in the ledger's
// own record.
type told struct {
	ID       string    `json:"id"`
	Start    time.Time `json:"start"`
	Customer string    `json:"customer,omitempty"`
	TraceID  string    `json:"trace_id,omitempty"`
	Session  string    `json:"session,omitempty"`
	Tags     []string  `json:"tags,omitempty"`

	Op      llm.Op      `json:"op"`
	Dialect llm.Dialect `json:"dialect"`
	Model   string      `json:"model"`
	Stream  bool        `json:"stream,omitempty"`
	Bytes   int         `json:"bytes"`

	Attempts []attemptTold `json:"attempts,omitempty"`

	Outcome ledger.Outcome `json:"outcome"`
	Status  int            `json:"status"`
	Fault   llm.FaultKind  `json:"fault,omitempty"`

	FirstToken time.Duration `json:"first_token_ns,omitempty"`
	Total      time.Duration `json:"total_ns"`
	Events     int           `json:"events,omitempty"`
	ITLMax     time.Duration `json:"itl_max_ns,omitempty"`
	SentBytes  int64         `json:"sent_bytes"`

	Usage *llm.Usage `json:"usage,omitempty"`
}

// attemptTold is what a gpu-team sees of an attempt at a target of its own.
type attemptTold struct {
	Target  string        `json:"target"`
	Kind    string        `json:"kind"`
	Model   string        `json:"model"`
	Dialect llm.Dialect   `json:"dialect"`
	Why     string        `json:"why"`
	Waited  time.Duration `json:"waited_ns,omitempty"`

	Begin      time.Duration `json:"begin_ns"`
	Reused     bool          `json:"reused,omitempty"`
	Connect    time.Duration `json:"connect_ns,omitempty"`
	Head       time.Duration `json:"head_ns,omitempty"`
	FirstToken time.Duration `json:"first_token_ns,omitempty"`
	Took       time.Duration `json:"took_ns"`

	Status   int            `json:"status,omitempty"`
	Upstream string         `json:"upstream_id,omitempty"`
	Stop     llm.StopReason `json:"stop,omitempty"`
	Fault    llm.FaultKind  `json:"fault,omitempty"`
	Phase    llm.Phase      `json:"phase,omitempty"`
	Retry    llm.Retry      `json:"retry,omitempty"`
	After    time.Duration  `json:"after_ns,omitempty"`
	Code     string         `json:"code,omitempty"`
	Message  string         `json:"message,omitempty"`

	Usage llm.Usage `json:"usage"`
}

// Sum is one line of usage as a viewer sees it: the narrow roles are told no
// money.
type Sum struct {
	row    *ledger.UsageRow
	viewer Viewer
}

// MarshalJSON implements json.Marshaler.
func (s Sum) MarshalJSON() ([]byte, error) {
	r := s.row
	if !s.viewer.narrow() {
		return json.Marshal(r)
	}
	return json.Marshal(sumTold{
		Model: r.Model, Target: r.Target, Customer: r.Customer, Day: r.Day, Outcome: r.Outcome, Requests: r.Requests, Failed: r.Failed,
		Input: r.Input, CacheRead: r.CacheRead, CacheWrite: r.CacheWrite, Output: r.Output, Reasoning: r.Reasoning,
		Images: r.Images, AudioMillis: r.AudioMillis, Characters: r.Characters, SearchUnits: r.SearchUnits,
	})
}

// sumTold is what the narrow roles see of a line of usage. The column that is
// not theirs is empty: no query of theirs can ask for it.
type sumTold struct {
	Model    string         `json:"model,omitempty"`
	Target   string         `json:"target,omitempty"`
	Customer string         `json:"customer,omitempty"`
	Day      string         `json:"day,omitempty"`
	Outcome  ledger.Outcome `json:"outcome,omitempty"`

	Requests   int64 `json:"requests"`
	Failed     int64 `json:"failed"`
	Input      int64 `json:"input"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	Output     int64 `json:"output"`
	Reasoning  int64 `json:"reasoning"`

	Images      int64 `json:"images,omitempty"`
	AudioMillis int64 `json:"audio_millis,omitempty"`
	Characters  int64 `json:"characters,omitempty"`
	SearchUnits int64 `json:"search_units,omitempty"`
}
