package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tailplane/internal/admin"
	"tailplane/internal/statement"
)

// openStatements makes the usage statements of this site, signed with the key in its
// state directory. A site is called by the machine's name where nobody names it.
func (s *Server) openStatements(dir, site, version string) (admin.Statements, error) {
	key, err := statement.OpenKey(dir)
	if err != nil {
		return nil, err
	}
	if site == "" {
		if site, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("the site has no name: %w", err)
		}
	}
	books := &statement.Ledger{
		Reader: s.kept.records, Flush: s.journal.Flush, Open: func() int { return s.journal.Stats().Open },
		Head: func(ctx context.Context) (statement.Chain, error) {
			link, count, err := s.kept.head(ctx)
			return statement.Chain{Head: link, Length: count}, err
		},
	}
	return stater{&statement.Maker{
		Site: site, Program: version, Books: books, Key: key,
		Shelf: statement.NewShelf(filepath.Join(dir, "statements")), Now: time.Now,
	}}, nil
}

// stater words the maker's errors for the admin API.
type stater struct{ maker *statement.Maker }

func (s stater) Look(ctx context.Context, customer, month string) ([]byte, error) {
	m, err := statement.ParseMonth(month)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", admin.ErrBadOrder, err)
	}
	file, err := s.maker.Find(customer, m)
	if file == nil && err == nil {
		file, err = s.maker.Draft(ctx, customer, m)
	}
	return file, err
}

func (s stater) State(ctx context.Context, customer, month string, again bool) ([]byte, error) {
	m, err := statement.ParseMonth(month)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", admin.ErrBadOrder, err)
	}
	file, err := s.maker.Issue(ctx, customer, m, again)
	if errors.Is(err, statement.ErrEarly) || errors.Is(err, statement.ErrOrder) {
		err = fmt.Errorf("%w: %w", admin.ErrConflict, err)
	}
	return file, err
}
