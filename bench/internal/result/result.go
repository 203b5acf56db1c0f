//go:build linux

// Package result holds the one value that the generator hands to the runner,
// as JSON on its standard output. It computes nothing.
package result

import "tailplane/bench/internal/proc"

// Run is what one run of the generator prints, as JSON. Times are in microseconds unless the
// name says otherwise; the window is the part of the run that is measured.
type Run struct {
	Mode     string  `json:"mode"`
	WindowMS float64 `json:"window_ms"`
	// Units are requests answered well, or stamped events, in the window.
	Units int64 `json:"units"`
	// CPU is of the processes named by -pids, in the window.
	CPU     float64 `json:"cpu_us"`
	CPUUnit float64 `json:"cpu_us_per_unit"`
	// Cores is each core's busy share in the window.
	Cores []float64 `json:"cores_busy"`

	P50 float64 `json:"p50_us"` // from the time a request was due to its last byte
	P99 float64 `json:"p99_us"`
	// Age is from the mock's send of an event to its receipt here.
	AgeP50 float64 `json:"age_p50_us,omitempty"`
	AgeP99 float64 `json:"age_p99_us,omitempty"`

	// Over the whole run, the window and what lies around it.
	Answers  int64            `json:"answers"`
	Streams  int64            `json:"streams,omitempty"`
	Usages   int64            `json:"usages,omitempty"`    // streams that told their usage
	Errors   map[string]int64 `json:"errors,omitempty"`    // by kind, bounded
	Clean    int64            `json:"truncated_clean"`     // ended cleanly without [DONE] or with events missing
	Told     int64            `json:"fault_in_stream"`     // ended cleanly after an error event
	Aborted  int64            `json:"aborted"`             // connection ended inside a response
	Late     int64            `json:"unsent,omitempty"`    // due in an open loop and never sent
	BodyHash string           `json:"body_hash,omitempty"` // of the small answer; "mixed" when answers differ

	Before proc.Memory `json:"before"`
	Idle   proc.Memory `json:"idle"`
	Live   proc.Memory `json:"live"`
}
