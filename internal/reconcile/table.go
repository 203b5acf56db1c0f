package reconcile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// form is one kind of CSV that a provider exports.
type form struct {
	provider string
	name     string
	// needs are columns that must be there, each by any of its names, in lower
	// case. Others are looked up by row.
	needs [][]string
	read  func(r *row, c *collector) error
}

// forms are all of them; the first whose columns are there is taken.
func forms() []form {
	return []form{awsCUR, azureCost, anthropicCost, anthropicUsage, openAICost, openAIUsage}
}

// row is a line of a CSV, by the names of its columns.
type row struct {
	columns map[string]int
	cells   []string
	comma   bool // the decimal sign, where columns are parted by semicolons
}

// text is the first of the columns that has a value.
func (r *row) text(names ...string) string {
	for _, name := range names {
		if i, ok := r.columns[name]; ok && i < len(r.cells) {
			if s := strings.TrimSpace(r.cells[i]); s != "" {
				return s
			}
		}
	}
	return ""
}

// number reads the first of the columns that has a value; none is not stated.
func (r *row) number(names ...string) (Decimal, error) {
	s := r.text(names...)
	if s == "" {
		return Decimal{}, nil
	}
	if r.comma && !strings.Contains(s, ".") {
		s = strings.Replace(s, ",", ".", 1)
	}
	d, err := ParseDecimal(s)
	if err != nil {
		return d, fmt.Errorf("the column %s: %w", names[0], err)
	}
	return d, nil
}

func (r *row) day(names ...string) (string, error) {
	day, err := dayOf(r.text(names...))
	if err != nil {
		return "", fmt.Errorf("the column %s: %w", names[0], err)
	}
	return day, nil
}

// dayOf reads a day or a time, in UTC, as providers write them.
func dayOf(text string) (string, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 1e9 && n < 1e11 {
		return time.Unix(n, 0).UTC().Format(time.DateOnly), nil
	}
	for _, layout := range []string{
		time.DateOnly, time.RFC3339Nano, "2006-01-02 15:04:05.999", "2006-01-02 15:04:05-07:00", "2006-01-02T15:04:05.999",
		"01/02/2006", "1/2/2006", "01/02/2006 15:04:05", "20060102", "2006-01-02 15:04:05.999 UTC", "2006-01-02 15:04",
	} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC().Format(time.DateOnly), nil
		}
	}
	return "", fmt.Errorf("%.40q is no day; write 2026-11-24", text)
}

// readTable reads a CSV. An empty provider takes the form that fits.
func readTable(provider string, in *bufio.Reader, c *collector) error {
	head, _ := in.Peek(64 << 10)
	comma := separator(head)
	r := csv.NewReader(in)
	r.Comma, r.FieldsPerRecord, r.ReuseRecord, r.LazyQuotes, r.TrimLeadingSpace = comma, -1, true, true, comma != '\t'
	names, err := r.Read()
	if err != nil {
		return fmt.Errorf("the export has no line with the names of its columns: %w", err)
	}
	at := row{columns: map[string]int{}, comma: comma == ';'}
	for i, name := range names {
		name = columnName(name)
		if _, twice := at.columns[name]; !twice {
			at.columns[name] = i
		}
	}
	f, err := formOf(provider, at.columns)
	if err != nil {
		return err
	}
	c.whose = f.provider
	for {
		at.cells, err = r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && !blank(at.cells) {
			err = f.read(&at, c)
		}
		if err != nil {
			if _, bad := errors.AsType[*csv.ParseError](err); bad || len(at.cells) == 0 {
				return fmt.Errorf("%s %s: the export breaks off or is no CSV: %w", f.provider, f.name, err)
			}
			line, _ := r.FieldPos(0)
			return fmt.Errorf("%s %s, line %d: %w", f.provider, f.name, line, err)
		}
	}
}

func blank(cells []string) bool {
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

// columnName is a name as forms write it: "line_item/UsageType",
// "lineItemUsageType" is not ours to undo, but "Line Item Usage Type" is.
func columnName(name string) string {
	return strings.NewReplacer(" ", "_", "/", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
}

func separator(head []byte) rune {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	best, most := ',', bytes.Count(line, []byte(","))
	for _, c := range []rune{';', '\t'} {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

// formOf finds the form that the columns are of.
func formOf(provider string, columns map[string]int) (form, error) {
	var lacks []string
	for _, f := range forms() {
		if provider != "" && f.provider != provider {
			continue
		}
		missing := f.missing(columns)
		if missing == "" {
			return f, nil
		}
		lacks = append(lacks, fmt.Sprintf("%s %s lacks %s", f.provider, f.name, missing))
	}
	return form{}, fmt.Errorf("the columns are those of no export that is known: %s", strings.Join(lacks, "; "))
}

func (f *form) missing(columns map[string]int) string {
	for _, names := range f.needs {
		found := false
		for _, name := range names {
			_, ok := columns[name]
			found = found || ok
		}
		if !found {
			return strings.Join(names, " or ")
		}
	}
	return ""
}

// column is a quantity in a column of its own.
type column struct {
	unit  Unit
	names []string
}

// quantities adds a line for each of the columns that has a value.
func (r *row) quantities(base Line, columns []column, c *collector) error {
	for _, col := range columns {
		n, err := r.number(col.names...)
		if err != nil {
			return err
		}
		if !n.Stated() {
			continue
		}
		l := base
		l.Unit, l.Quantity = col.unit, n
		if err := c.add(l); err != nil {
			return err
		}
	}
	return nil
}

var errCurrency = errors.New("is not in dollars; export it in USD, or name the provider's column in dollars")

func dollarsOnly(currency string) error {
	if currency != "" && !strings.EqualFold(currency, "usd") {
		return fmt.Errorf("an amount in %.10q %w", currency, errCurrency)
	}
	return nil
}
