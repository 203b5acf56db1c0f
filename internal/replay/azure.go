package replay

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// azureBlock is the size of the blocks that requests without prefixes get; each
// has ids of its own.
const azureBlock = 64

// readAzure reads CSV with TIMESTAMP, ContextTokens and GeneratedTokens.
func readAzure(l *lines, first []byte, o ReadOptions) (*Trace, error) {
	t := &Trace{Format: "azure", Block: azureBlock, Lane: 1}
	var columns map[string]int
	var id int64
	err := l.each(first, func(line []byte) error {
		row, err := csv.NewReader(strings.NewReader(string(line))).Read()
		if err != nil {
			return err
		}
		if columns == nil {
			columns, err = azureColumns(row)
			return err
		}
		r, err := azureRequest(row, columns)
		if err != nil {
			return err
		}
		r.Runs = []Span{{id, r.Input / azureBlock}}
		id += int64(r.Input / azureBlock)
		return t.add(r, o)
	})
	return t.opened(err)
}

func azureColumns(row []string) (map[string]int, error) {
	columns := map[string]int{}
	for i, name := range row {
		columns[strings.ToLower(strings.TrimSpace(name))] = i
	}
	for _, want := range []string{"timestamp", "contexttokens", "generatedtokens"} {
		if _, ok := columns[want]; !ok {
			return nil, fmt.Errorf("no column %s", want)
		}
	}
	return columns, nil
}

func azureRequest(row []string, columns map[string]int) (Request, error) {
	field := func(name string) string {
		if i := columns[name]; i < len(row) {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	at, err := azureTime(field("timestamp"))
	if err != nil {
		return Request{}, err
	}
	in, err1 := strconv.Atoi(field("contexttokens"))
	out, err2 := strconv.Atoi(field("generatedtokens"))
	if err := errors.Join(err1, err2); err != nil {
		return Request{}, err
	}
	r := Request{At: at, Input: in, Output: out}
	return r, r.check()
}

// azureTime is a time of day and date, with or without a zone, or seconds.
func azureTime(s string) (time.Duration, error) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil {
			return time.Duration(at.UnixNano()), nil
		}
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		return offset(v, time.Second)
	}
	return 0, fmt.Errorf("%q is no time", s)
}
