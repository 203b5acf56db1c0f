package meter

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// matcher says whether a model's name, in lower case, belongs to an entry. One
// of its members is set. Names are compared without regard to case, as the
// source of the prices does.
type matcher struct {
	equals, prefix, suffix, part string
	regex                        *regexp.Regexp
	any, all                     []matcher
}

// UnmarshalJSON reads the form in which the source writes rules, and which the
// data file keeps: an object of one member.
func (m *matcher) UnmarshalJSON(text []byte) error {
	var in struct {
		Equals *string   `json:"equals"`
		Prefix *string   `json:"starts_with"`
		Suffix *string   `json:"ends_with"`
		Part   *string   `json:"contains"`
		Regex  *string   `json:"regex"`
		Any    []matcher `json:"or"`
		All    []matcher `json:"and"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	n := 0
	for _, f := range []struct {
		from *string
		to   *string
	}{{in.Equals, &m.equals}, {in.Prefix, &m.prefix}, {in.Suffix, &m.suffix}, {in.Part, &m.part}} {
		if f.from == nil {
			continue
		}
		if *f.from == "" {
			return errors.New("a match rule compares with nothing")
		}
		*f.to = strings.ToLower(*f.from)
		n++
	}
	if in.Regex != nil {
		re, err := regexp.Compile("(?i)" + *in.Regex)
		if err != nil {
			return err
		}
		m.regex = re
		n++
	}
	m.any, m.all = in.Any, in.All
	for _, list := range [][]matcher{m.any, m.all} {
		if list != nil {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("a match rule needs one condition and has %d: %s", n, text)
	}
	return nil
}

// match expects name in lower case.
func (m *matcher) match(name string) bool {
	switch {
	case m.equals != "":
		return name == m.equals
	case m.prefix != "":
		return strings.HasPrefix(name, m.prefix)
	case m.suffix != "":
		return strings.HasSuffix(name, m.suffix)
	case m.part != "":
		return strings.Contains(name, m.part)
	case m.regex != nil:
		return m.regex.MatchString(name)
	}
	for i := range m.any {
		if m.any[i].match(name) {
			return true
		}
	}
	for i := range m.all {
		if !m.all[i].match(name) {
			return false
		}
	}
	return len(m.all) > 0
}
