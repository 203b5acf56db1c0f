package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"time"

	"tailplane/internal/config"
	"tailplane/internal/engine"
)

// FindConfig is the config file that a run without --config uses; empty when
// there is none. One that the environment names is taken whether it is there or
// not: going without it in silence would be worse than an error.
func FindConfig() string {
	const here, system = "tailplane.yaml", "/etc/tailplane/tailplane.yaml"
	named := os.Getenv("TAILPLANE_CONFIG")
	switch {
	case exists(here):
		return here
	case named != "":
		return named
	case exists(system):
		return system
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// firstFile is the file that the program starts with, or the one that was
// detected.
func (s *Server) firstFile(ctx context.Context) (_ *config.File, err error) {
	if s.opt.Config == "" {
		s.opt.Config = FindConfig()
	}
	if s.opt.Config != "" {
		return readFile(s.opt.Config)
	}
	if !s.opt.NoDetect {
		ports := s.opt.Ports
		if ports == nil {
			ports = engine.Ports()
		}
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		if s.found, err = detect(ctx, s.network, ports, cmp.Or(s.opt.Data, config.Default().Listen.Data.Addr)); err != nil {
			return nil, err
		}
	}
	return zeroConfig(s.found), nil
}

// ErrNoConfig says that a named config is not there.
var ErrNoConfig = errors.New("there is no config file")

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
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w at %s", ErrNoConfig, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the config: %w", err)
	}
	f, problems := config.ParseHere(path, text)
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

func (s *Server) reload() (err error) {
	f, err := readFile(s.opt.Config)
	if err != nil {
		return err
	}
	defer func() { s.settleDiscovery(f, err) }()
	if err := s.prepareReplicas(f); err != nil {
		return err
	}
	if err := s.learn(f, time.Now()); err != nil {
		return err
	}
	provider, err := s.providerOf(f)
	if err != nil {
		return err
	}
	plane, ways, err := s.plane(f) // the last that can fail: it changes live limits
	if err != nil {
		return err
	}
	if f.Listen.Data != s.file.Listen.Data || f.Listen.Admin != s.file.Listen.Admin || f.Ledger != s.file.Ledger || f.Store != s.file.Store ||
		f.Notify != s.file.Notify || f.Site != s.file.Site || f.Keys.Pepper != s.file.Keys.Pepper || !reflect.DeepEqual(f.Gossip, s.file.Gossip) {
		s.log.Warn("listen addresses, site, store, ledger, notify, gossip and keys.pepper take effect only at the next start")
	}
	s.openDoor(f, provider)
	s.adopt(f, ways)
	s.learnBalances(context.Background())
	s.gateway.Swap(plane)
	s.follow(f, plane)
	s.file = f
	return nil
}

// watchEvery is how often the config file is looked at.
const watchEvery = 500 * time.Millisecond

// watch reloads the config when hangup says so, and when its content changes
// unless that is switched off. Content and not time is compared: editors and
// config maps replace files in many ways.
func (s *Server) watch(ctx context.Context, hangup <-chan os.Signal) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	if s.opt.NoWatch {
		tick.Stop()
	}
	s.mu.Lock()
	seen := sighting{s.file.Hash, s.file.Hash}
	s.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			seen.loaded = hashOf(s.opt.Config)
			_ = s.Reload() // it has logged what is wrong
			continue
		case <-tick.C:
		}
		if seen.changed(hashOf(s.opt.Config)) {
			_ = s.Reload() // it has logged what is wrong
		}
	}
}

// sighting is what was seen of a file: the content that was loaded last, and the
// one that the last look saw.
type sighting struct{ loaded, before string }

// changed takes another look, and reports whether there is a content to load: one
// that two looks have seen, so that a file that is being written is not read
// half. A file that is away for the moment is no change.
func (s *sighting) changed(now string) bool {
	if now == "" {
		return false
	}
	change := now != s.loaded && now == s.before
	if change {
		s.loaded = now
	}
	s.before = now
	return change
}

// hashOf is the hash of a file's content; empty when it cannot be read.
func hashOf(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return config.Hash(text)
}
