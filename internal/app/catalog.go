package app

import (
	"fmt"
	"time"

	"tailplane/internal/catalog"
	"tailplane/internal/config"
)

// knowledge is the catalogue that is in force, and why another one is not.
type knowledge struct {
	*catalog.Catalog
	refused string
	old     string // the warning that it is older than the config wants; empty when it is not
}

// learn loads the catalogue that a file and the state directory name. One that
// is refused leaves the built-in one, says so and blocks nothing.
func (s *Server) learn(f *config.File, now time.Time) error {
	c, err := catalog.Load(f.Catalog, s.opt.State)
	if c == nil {
		return err
	}
	k := &knowledge{Catalog: c}
	if err != nil {
		k.refused = err.Error()
		s.log.Error("the catalogue is not as it should be; requests are priced with the one that is named here", "why", k.refused, "catalog", c.Version())
	}
	if age := c.Age(now); f.Catalog.MaxAge > 0 && age > f.Catalog.MaxAge {
		k.old = fmt.Sprintf("a part of it is %d days old; bring a newer one with `tailplane catalog update FILE`", int(age.Hours()/24))
		s.log.Warn("the catalogue is old", "catalog", c.Version(), "why", k.old)
	}
	if last := s.known.Load(); last != nil && last.Made.Equal(c.Made) && last.Embedded == c.Embedded {
		k.Catalog = last.Catalog // and the price book of it stays
	} else if s.book, err = c.Book(); err != nil {
		return err
	}
	s.known.Store(k)
	return nil
}

// retires tells when a model ends, for the headers of its answers.
func (k *knowledge) retires(kind, model string) (since, ends time.Time) {
	r, _ := k.Retirement(kind, model)
	since, _ = r.Since()
	ends, _ = r.Ends()
	return since, ends
}

// sizes are what bounds a request for a model, in tokens; 0 is not known.
func (k *knowledge) sizes(_, model string) (context, output int64) {
	m, _ := k.Model(model)
	return m.Context, m.Output
}
