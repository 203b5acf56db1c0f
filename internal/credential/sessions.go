package credential

import (
	"container/list"
	"sync"
)

// How many customers' sessions are kept.
const (
	usualSessions = 256
	mostSessions  = 10_000
)

// sessions are those of one role by customer. The one that was not used for
// longest makes room for a new one. It is safe for concurrent use.
type sessions struct {
	most int
	make func(customer string) *cell[session]

	mu    sync.Mutex
	at    map[string]*list.Element
	order *list.List // of *kept, used last in front
}

type kept struct {
	customer string
	cell     *cell[session]
}

func newSessions(most int, made func(customer string) *cell[session]) *sessions {
	return &sessions{most: most, make: made, at: map[string]*list.Element{}, order: list.New()}
}

// of is the session of a customer.
func (s *sessions) of(customer string) *cell[session] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.at[customer]; ok {
		s.order.MoveToFront(e)
		return e.Value.(*kept).cell
	}
	if s.order.Len() >= s.most {
		oldest := s.order.Back()
		delete(s.at, oldest.Value.(*kept).customer)
		s.order.Remove(oldest)
	}
	c := s.make(customer)
	s.at[customer] = s.order.PushFront(&kept{customer, c})
	return c
}

// all appends the cells of all customers.
func (s *sessions) all(out []*cell[session]) []*cell[session] {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.order.Front(); e != nil; e = e.Next() {
		out = append(out, e.Value.(*kept).cell)
	}
	return out
}
