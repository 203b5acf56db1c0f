package queue

// heap keeps its items in the order of less, the first on top, and tells each
// where it stands, so that it can be taken out of the middle. Package
// container/heap does the same through an interface, at three times the cost.
type heap[T any] struct {
	items []T
	less  func(a, b T) bool
	place func(T) *int // where an item keeps its index here
}

func (h *heap[T]) len() int { return len(h.items) }

func (h *heap[T]) push(x T) {
	h.items = append(h.items, x)
	*h.place(x) = len(h.items) - 1
	h.up(len(h.items) - 1)
}

// remove takes x out, which must be in.
func (h *heap[T]) remove(x T) {
	i, last := *h.place(x), len(h.items)-1
	moved := h.items[last]
	h.items[i] = moved
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	if i != last {
		*h.place(moved) = i
		h.fix(moved)
	}
}

// fix puts x where it belongs after its key has changed.
func (h *heap[T]) fix(x T) {
	i := *h.place(x)
	if !h.down(i) {
		h.up(i)
	}
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(h.items[i], h.items[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *heap[T]) down(i int) (moved bool) {
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return moved
		}
		if right := child + 1; right < len(h.items) && h.less(h.items[right], h.items[child]) {
			child = right
		}
		if !h.less(h.items[child], h.items[i]) {
			return moved
		}
		h.swap(i, child)
		i, moved = child, true
	}
}

func (h *heap[T]) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.place(h.items[i]), *h.place(h.items[j]) = i, j
}
