package replay

import (
	"container/heap"
	"time"
)

// events is what will happen, soonest first; of one instant in the order in
// which it was planned.
type events struct {
	heap eventHeap
	seq  uint64
}

type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

func (e *events) plan(at time.Duration, do func()) {
	e.seq++
	heap.Push(&e.heap, event{at, e.seq, do})
}

// next is when the next one happens.
func (e *events) next() (time.Duration, bool) {
	if len(e.heap) == 0 {
		return 0, false
	}
	return e.heap[0].at, true
}

func (e *events) pop() event { return heap.Pop(&e.heap).(event) }

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	n := len(old) - 1
	e := old[n]
	old[n] = event{}
	*h = old[:n]
	return e
}
