package notify

import (
	"log/slog"
	"strings"
	"sync"
)

// syncText is what a logger wrote.
type syncText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncText) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }
