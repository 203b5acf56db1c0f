package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"tailplane/internal/config"
)

// searched are the places where a config is looked for when none is named.
func searched() []string {
	return []string{"tailplane.yaml", os.Getenv("TAILPLANE_CONFIG"), "/etc/tailplane/tailplane.yaml"}
}

// FindConfig is the config file that a run without --config uses; empty when
// there is none.
func FindConfig() string {
	for _, path := range searched() {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// firstFile is the file that the program starts with, or the one that was
// detected.
func (s *Server) firstFile(ctx context.Context) (*config.File, error) {
	if s.opt.Config == "" {
		s.opt.Config = FindConfig()
	}
	if s.opt.Config != "" {
		return readFile(s.opt.Config)
	}
	if !s.opt.NoDetect {
		s.found = detect(ctx, nil)
	}
	return zeroConfig(s.found), nil
}

// ProblemsError is a config that was refused.
type ProblemsError struct{ Problems []config.Problem }

func (e *ProblemsError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// readFile reads a file and refuses it for any problem, unresolved secrets
// included.
func readFile(path string) (*config.File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the config: %w", err)
	}
	f, problems := config.Parse(path, text)
	if len(problems) == 0 {
		problems = f.Secrets(text)
	}
	if len(problems) > 0 {
		return nil, &ProblemsError{problems}
	}
	return f, nil
}

// Reload reads the config again and puts it into force. When it has problems
// the old one keeps serving, and the error says what they are. What cannot be
// changed while running is named in the log.
func (s *Server) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.zero() {
		return errors.New("there is no config file to reload; start with --config")
	}
	err := s.reload()
	if err != nil {
		why := err.Error()
		s.refused.Store(&why)
		s.metrics.ConfigReloads.WithLabelValues("refused").Inc()
		s.log.Error("the changed config is refused; the old one keeps serving", "config", s.file.Hash, "problems", why)
		return err
	}
	s.refused.Store(nil)
	s.metrics.ConfigReloads.WithLabelValues("ok").Inc()
	s.log.Info("config loaded", "config", s.file.Hash, "file", s.file.Name)
	return nil
}

func (s *Server) reload() error {
	f, err := readFile(s.opt.Config)
	if err != nil {
		return err
	}
	plane, err := s.plane(f)
	if err != nil {
		return err
	}
	if f.Listen.Data != s.file.Listen.Data || f.Listen.Admin != s.file.Listen.Admin || f.Ledger != s.file.Ledger {
		s.log.Warn("listen addresses and ledger settings take effect only at the next start")
	}
	s.gateway.Swap(plane)
	s.file = f
	return nil
}

// watchEvery is how often the config file is looked at.
const watchEvery = time.Second

// watch reloads the config on SIGHUP, and when its content changes unless that
// is switched off. Content and not time is compared: editors and config maps
// replace files in many ways.
func (s *Server) watch(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	if s.opt.NoWatch {
		tick.Stop()
	}
	last := contentOf(s.opt.Config)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			last = contentOf(s.opt.Config)
			_ = s.Reload() // it has logged what is wrong
			continue
		case <-tick.C:
		}
		now := contentOf(s.opt.Config)
		if now == nil || bytes.Equal(now, last) {
			continue // unchanged, or away for the moment
		}
		last = now
		_ = s.Reload() // it has logged what is wrong
	}
}

// contentOf is a digest of a file; nil when it cannot be read.
func contentOf(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(text)
	return sum[:]
}
