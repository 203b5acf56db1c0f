package account

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Period is the window of a budget, in UTC: a day, a week from Monday on, a
// month of the calendar, or all time.
type Period uint8

// The periods. The zero Period is none.
const (
	_ Period = iota
	Day
	Week
	Month
	Total
	periods int = iota
)

var periodNames = [periods]string{"", "day", "week", "month", "total"}

// String is the period's name in the file.
func (p Period) String() string {
	if int(p) < periods {
		return periodNames[p]
	}
	return fmt.Sprintf("period(%d)", uint8(p))
}

// MarshalText is String.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a period's name.
func (p *Period) UnmarshalText(text []byte) error {
	for i, name := range periodNames {
		if i > 0 && name == string(text) {
			*p = Period(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no period: write day, week, month or total", text)
}

// phrase is the period behind an amount, in a sentence.
func (p Period) phrase() string {
	if p == Total {
		return "in total"
	}
	return "a " + p.String()
}

// Bounds are the window that holds t: from its beginning until before its end.
// Those of Total are zero.
func (p Period) Bounds(t time.Time) (from, to time.Time) {
	y, m, d := t.UTC().Date()
	date := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	switch p {
	case Day:
		return date(y, m, d), date(y, m, d+1)
	case Week:
		since := (int(t.UTC().Weekday()) + 6) % 7
		return date(y, m, d-since), date(y, m, d-since+7)
	case Month:
		return date(y, m, 1), date(y, m+1, 1)
	}
	return time.Time{}, time.Time{}
}

// span is Bounds in nanoseconds since 1970; that of Total is all time.
func (p Period) span(t time.Time) (from, to int64) {
	if p == Total {
		return math.MinInt64, math.MaxInt64
	}
	f, e := p.Bounds(t)
	return f.UnixNano(), e.UnixNano()
}

// Shares are parts of a budget in percent. Their text is "50%, 80%".
type Shares []int

// UnmarshalText reads shares.
func (s *Shares) UnmarshalText(text []byte) error {
	var out Shares
	for part := range strings.SplitSeq(string(text), ",") {
		if len(text) == 0 {
			break
		}
		number, ok := strings.CutSuffix(strings.TrimSpace(part), "%")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || !digits(number) {
			return fmt.Errorf("%q is no share: write whole percents such as 80%%", strings.TrimSpace(part))
		}
		out = append(out, n)
	}
	*s = out
	return nil
}

// String is the shares' text.
func (s Shares) String() string {
	parts := make([]string, len(s))
	for i, n := range s {
		parts[i] = strconv.Itoa(n) + "%"
	}
	return strings.Join(parts, ", ")
}

// MarshalText is String.
func (s Shares) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
