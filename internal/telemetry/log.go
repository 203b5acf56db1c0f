package telemetry

import (
	"context"
	"io"
	"sync"
	"time"
)

// LogWriter gathers log lines and writes them in batches, so that a request
// never waits for the log and the log never wakes anybody per line. It is
// bounded: when the destination is too slow, lines are dropped and counted.
type LogWriter struct {
	dst     io.Writer
	dropped func()
	begun   chan struct{} // holds one when lines began to gather

	mu      sync.Mutex
	pending []byte
	spare   []byte
}

const (
	logBatch   = 20 * time.Millisecond
	logBacklog = 4 << 20 // bytes
)

// NewLogWriter makes a writer onto dst; dropped is called for each line that is
// lost. Run must be running.
func NewLogWriter(dst io.Writer, dropped func()) *LogWriter {
	return &LogWriter{dst: dst, dropped: dropped, begun: make(chan struct{}, 1)}
}

// Write takes one line. It never fails and never waits for the destination.
func (w *LogWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending)+len(line) > logBacklog {
		w.dropped()
		return len(line), nil
	}
	if len(w.pending) == 0 {
		select {
		case w.begun <- struct{}{}:
		default:
		}
	}
	w.pending = append(w.pending, line...)
	return len(line), nil
}

// Run writes what was gathered, some milliseconds after the first line of it,
// until ctx ends, and then what is left. It sleeps while nothing is said.
func (w *LogWriter) Run(ctx context.Context) {
	due := time.NewTimer(0)
	due.Stop()
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			w.Flush()
			return
		case <-w.begun:
			due.Reset(logBatch)
		case <-due.C:
			w.Flush()
		}
	}
}

// Flush writes what was gathered. The destination's errors cannot be told to
// anybody: it is where errors are told.
func (w *LogWriter) Flush() {
	w.mu.Lock()
	batch := w.pending
	w.pending = w.spare[:0]
	w.spare = nil
	w.mu.Unlock()
	if len(batch) > 0 {
		_, _ = w.dst.Write(batch)
	}
	w.mu.Lock()
	w.spare = batch[:0]
	w.mu.Unlock()
}
