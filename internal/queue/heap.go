package queue

import "math"

// heap keeps items in the order of their keys, the least on top, and tells each
// where it stands, so that it can be taken out of the middle. The keys stand in
// the heap: most of the time of one that compares through its items is spent
// waiting for memory.
type heap[T any] struct {
	slots []slot[T]
	place func(T) *int // where an item keeps its index here
}

type slot[T any] struct {
	key  key
	item T
}

// key is what a heap is ordered by.
type key struct{ first, second uint64 }

func (k key) less(o key) bool {
	return k.first < o.first || k.first == o.first && k.second < o.second
}

// ordered makes of a float a number that compares as it does.
func ordered(f float64) uint64 {
	bits := math.Float64bits(f + 0) // one zero
	if bits>>63 != 0 {
		return ^bits
	}
	return bits | 1<<63
}

func (h *heap[T]) len() int { return len(h.slots) }

// top is the least; the heap must not be empty.
func (h *heap[T]) top() T { return h.slots[0].item }

func (h *heap[T]) push(x T, k key) {
	h.slots = append(h.slots, slot[T]{})
	h.up(len(h.slots)-1, slot[T]{k, x})
}

// remove takes x out, which must be in.
func (h *heap[T]) remove(x T) {
	i, last := *h.place(x), len(h.slots)-1
	moved := h.slots[last]
	h.slots[last] = slot[T]{}
	h.slots = h.slots[:last]
	if i != last {
		h.settle(i, moved)
	}
}

// fix puts x where its new key belongs.
func (h *heap[T]) fix(x T, k key) { h.settle(*h.place(x), slot[T]{k, x}) }

// settle puts s into the free place i, or where it belongs from there.
func (h *heap[T]) settle(i int, s slot[T]) {
	if i > 0 && s.key.less(h.slots[(i-1)/2].key) {
		h.up(i, s)
		return
	}
	h.down(i, s)
}

func (h *heap[T]) up(i int, s slot[T]) {
	for i > 0 {
		parent := (i - 1) / 2
		if !s.key.less(h.slots[parent].key) {
			break
		}
		h.put(i, h.slots[parent])
		i = parent
	}
	h.put(i, s)
}

func (h *heap[T]) down(i int, s slot[T]) {
	for {
		child := 2*i + 1
		if child >= len(h.slots) {
			break
		}
		if right := child + 1; right < len(h.slots) && h.slots[right].key.less(h.slots[child].key) {
			child = right
		}
		if !h.slots[child].key.less(s.key) {
			break
		}
		h.put(i, h.slots[child])
		i = child
	}
	h.put(i, s)
}

func (h *heap[T]) put(i int, s slot[T]) {
	h.slots[i] = s
	*h.place(s.item) = i
}
