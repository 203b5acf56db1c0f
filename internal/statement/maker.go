package statement

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Books is what a statement is made from. Package app puts it before the ledger.
type Books interface {
	// Month sums up the month of a customer, or of all of them when there is
	// none; then each line names its customer. It fills Lines, Exchanges, Prices,
	// Ledger, Open and Clock.
	Month(ctx context.Context, customer string, m Month) (Input, error)
}

// Maker makes the statements of a site. Its fields are set once; its methods are
// safe for concurrent use.
type Maker struct {
	Site    string
	Program string
	Books   Books
	Key     ed25519.PrivateKey
	Shelf   *Shelf
	Now     func() time.Time

	mu sync.Mutex // held while a number is given
}

// settling is how long after a month's end its last requests may still run. A
// number is given after it.
const settling = time.Hour

// The errors of Issue, for callers that tell them apart. Each comes wrapped in a
// sentence.
var (
	ErrEarly = errors.New("the month is not over")
	ErrOrder = errors.New("statements go on from month to month")
)

// Find returns the file of the newest statement for a customer and a month; nil
// when none was made.
func (k *Maker) Find(customer string, m Month) ([]byte, error) {
	list, err := k.Shelf.list(customer)
	if err != nil {
		return nil, err
	}
	if have := newest(list, m); have != nil {
		return have.file, nil
	}
	return nil, nil
}

// Draft signs a look at a month as it stands. Nothing is kept, and it has no
// number.
func (k *Maker) Draft(ctx context.Context, customer string, m Month) ([]byte, error) {
	in, err := k.books(ctx, customer, m)
	if err != nil {
		return nil, err
	}
	s, err := Make(in)
	if err != nil {
		return nil, err
	}
	return Sign(s, k.Key)
}

// Issue gives the statement for a customer and a month its number, keeps it and
// returns its file. Asked again, it returns the same file, unless again is set:
// then the month is stated anew, under the next number, as after a new rating.
func (k *Maker) Issue(ctx context.Context, customer string, m Month, again bool) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list, err := k.Shelf.list(customer)
	if err != nil {
		return nil, err
	}
	have := newest(list, m)
	if have != nil && !again {
		return have.file, nil
	}
	if free := m.End().Add(settling); k.Now().Before(free) {
		return nil, fmt.Errorf("%w: %s can be stated from %s on, when its last requests have ended; until then there are drafts", ErrEarly, m, free.Format("2006-01-02 15:04Z"))
	}
	if next, ok := nextMonth(list); have == nil && ok && m != next {
		return nil, fmt.Errorf("%w: the next one is of %s, not of %s", ErrOrder, next, m)
	}
	in, err := k.books(ctx, customer, m)
	if err != nil {
		return nil, err
	}
	in.Number = int64(len(list)) + 1
	if have != nil {
		in.Replaces = have.Number
	}
	if len(list) > 0 {
		in.Previous = list[len(list)-1].Digest
	}
	s, err := Make(in)
	if err != nil {
		return nil, err
	}
	file, err := Sign(s, k.Key)
	if err != nil {
		return nil, err
	}
	if err := k.Shelf.put(&s, file); err != nil {
		return nil, err
	}
	return file, nil
}

func (k *Maker) books(ctx context.Context, customer string, m Month) (Input, error) {
	made := k.Now() // before the sums are read: what comes later is not promised
	in, err := k.Books.Month(ctx, customer, m)
	if err != nil {
		return Input{}, fmt.Errorf("the month %s cannot be summed up: %w", m, err)
	}
	in.Site, in.Customer, in.Month, in.Made, in.Program = k.Site, customer, m, made, k.Program
	return in, nil
}

func newest(list []kept, m Month) *kept {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Month == m {
			return &list[i]
		}
	}
	return nil
}

// nextMonth is the month after all that were stated.
func nextMonth(list []kept) (next Month, ok bool) {
	for _, k := range list {
		if n := k.Month.Next(); !ok || n.Compare(next) > 0 {
			next, ok = n, true
		}
	}
	return next, ok
}
