package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tailplane/internal/config"
	"tailplane/internal/ledger"
	"tailplane/internal/owner"
	"tailplane/internal/policy"
)

// stateDir is where facts are kept.
func (s *Server) stateDir() (string, error) {
	switch {
	case s.opt.Ephemeral:
		return "", nil
	case s.opt.State != "":
		return s.opt.State, nil
	case s.file.Ledger.Dir != "":
		return s.file.Ledger.Dir, nil
	}
	return DefaultState()
}

// DefaultState is the state directory when nothing names one: that of the
// environment, the user's, or /var/lib/tailplane for a service without a home.
func DefaultState() (string, error) {
	if dir := os.Getenv("TAILPLANE_STATE"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "tailplane"), nil
	}
	if home, err := os.UserHomeDir(); err == nil && home != "" {
		return filepath.Join(home, ".local", "state", "tailplane"), nil
	}
	return "/var/lib/tailplane", nil
}

// FindState is the state directory of a program that was started here without
// naming one: that of the config which it would use, or the default.
func FindState() (string, error) {
	if path := FindConfig(); path != "" {
		if text, err := os.ReadFile(path); err == nil {
			if f, _ := config.Parse(path, text); f.Ledger.Dir != "" {
				return f.Ledger.Dir, nil
			}
		}
	}
	return DefaultState()
}

// openState opens what outlives the process: keys, journal, store.
func (s *Server) openState(ctx context.Context) error {
	dir, err := s.stateDir()
	if err != nil {
		return err
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the state directory: %w; name another one with --state, or use --ephemeral", err)
		}
		if err := writable(dir); err != nil {
			return fmt.Errorf("the state directory cannot be written: %w; make it writable, name another one with --state, or use --ephemeral", err)
		}
	}
	s.opt.State = dir
	if dir != "" {
		// Opening the databases brings them up to date, under the feet of whoever runs.
		if err := ledger.Free(s.journalDir()); err != nil {
			return inUse(err, dir)
		}
	}
	if s.kept, err = s.openStores(ctx, dir); err != nil {
		return err
	}
	cfg := s.file.Ledger
	cfg.Dir = s.journalDir()
	opt := cfg.Options(s.kept.records)
	opt.Told = s.ledgerTold
	if s.journal, err = ledger.OpenJournal(opt); err != nil {
		return errors.Join(inUse(err, dir), s.kept.close())
	}
	s.openAccounts()
	// Behind the journal's lock: it takes over an earlier version's keys.
	s.store, err = policy.OpenStore(ctx, policy.Options{Dir: dir, Facts: s.kept.facts, Pepper: s.file.Keys.Pepper, Accounts: s.accounts}, time.Now())
	if err != nil {
		return errors.Join(err, s.journal.Close(), s.kept.close())
	}
	if s.owners, err = owner.Open(dir, 0); err != nil {
		return errors.Join(err, s.journal.Close(), s.kept.close())
	}
	if s.token, err = adminToken(dir); err != nil {
		return errors.Join(err, s.owners.Close(), s.journal.Close(), s.kept.close())
	}
	if dir != "" {
		if s.statements, err = s.openStatements(dir, s.file.Site.Name, s.opt.Version); err != nil {
			return errors.Join(err, s.owners.Close(), s.journal.Close(), s.kept.close())
		}
	}
	if err := s.openLearning(dir); err != nil {
		return errors.Join(err, s.owners.Close(), s.journal.Close(), s.kept.close())
	}
	s.metrics.Gauge("ledger_lag_records", "Settled records that the store does not have yet.", func() float64 { return float64(s.journal.Stats().Lag) })
	return nil
}

// ledgerTold logs that the ledger does not get on, and that it does again.
func (s *Server) ledgerTold(err error) {
	if err == nil {
		s.log.Info("the ledger stores its records again")
		return
	}
	s.log.Error("the ledger cannot store its records now; they wait in the journal, and it is tried again", "error", err)
}

// journalDir is where the journal is; empty when it is in memory. openState says
// first where the state is.
func (s *Server) journalDir() string {
	if s.opt.State == "" {
		return ""
	}
	return filepath.Join(s.opt.State, "journal")
}

// writable tries to make a file, so that a directory that cannot be used is told
// at once and not by whichever file comes first.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, "probe-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// private makes a file that only its owner reads, if it is not there: the
// database would make it for everybody.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make the ledger database: %w", err)
	}
	return f.Close()
}

// inUse is the error of an opening that another program was before.
func inUse(err error, dir string) error {
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return &InUseError{Dir: dir}
	}
	return err
}

// InUseError says that another program runs with the state directory.
type InUseError struct{ Dir string }

func (e *InUseError) Error() string {
	text := fmt.Sprintf("another tailplane runs with the state directory %s", e.Dir)
	if r, _, err := FindRunning(e.Dir); err == nil {
		text += fmt.Sprintf(" (process %d, API at http://%s/v1)", r.PID, r.Data)
	}
	return text
}

func (s *Server) closeState() {
	if err := errors.Join(s.journal.Close(), s.owners.Close(), s.closeLearning(), s.kept.close()); err != nil {
		s.log.Error("the state was not closed cleanly", "error", err)
	}
}
