package policy

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/account"
)

// ReadLiteLLM reads LiteLLM's virtual keys, as its table LiteLLM_VerificationToken
// is exported: a JSON array, JSON objects one after the other, or CSV with a
// header. Its token is the SHA-256 of the key's text, which is all that is
// needed. A key that cannot be taken is refused in the list; the error is about
// reading.
func ReadLiteLLM(r io.Reader, now time.Time) ([]Imported, error) {
	in := bufio.NewReader(r)
	if bom, err := in.Peek(3); err == nil && string(bom) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3)
	}
	first, err := firstByte(in)
	if err != nil {
		return nil, fmt.Errorf("read LiteLLM's keys: %w", err)
	}
	var list []Imported
	add := func(row litellmRow) error {
		if len(list) >= mostImported {
			return fmt.Errorf("more than %d", mostImported)
		}
		list = append(list, row.key(fmt.Sprintf("row %d", len(list)+1), now))
		return nil
	}
	switch first {
	case 0:
		return nil, nil
	case '[', '{':
		err = readObjects(in, add)
	default:
		err = readCSV(in, add)
	}
	if err != nil {
		return nil, fmt.Errorf("read LiteLLM's keys: after row %d: %w", len(list), err)
	}
	return list, nil
}

// firstByte is the first byte that is no white space; 0 when there is none.
func firstByte(in *bufio.Reader) (byte, error) {
	for {
		b, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return 0, nil
		case err != nil:
			return 0, err
		case b == ' ' || b == '\t' || b == '\r' || b == '\n':
		default:
			return b, in.UnreadByte()
		}
	}
}

// litellmRow is a row as it was read: by its columns.
type litellmRow map[string]any

func readObjects(in io.Reader, add func(litellmRow) error) error {
	dec := json.NewDecoder(in)
	dec.UseNumber()
	for {
		var v any
		switch err := dec.Decode(&v); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errors.New(unquoted(err))
		}
		rows, isList := v.([]any)
		if !isList {
			rows = []any{v}
		}
		for _, item := range rows {
			row, is := item.(map[string]any)
			if !is {
				return errors.New("it is no list of objects")
			}
			if inner, wrapped := row["keys"].([]any); wrapped && row["token"] == nil {
				for _, k := range inner { // the answer of /key/list
					if row, is = k.(map[string]any); !is {
						return errors.New("it is no list of objects; ask for the whole keys with return_full_object=true")
					}
					if err := add(row); err != nil {
						return err
					}
				}
				continue
			}
			if err := add(row); err != nil {
				return err
			}
		}
	}
}

func readCSV(in io.Reader, add func(litellmRow) error) error {
	rows := csv.NewReader(in)
	head, err := rows.Read()
	if err != nil {
		return errors.New("it is neither JSON nor CSV with a header")
	}
	if !slices.Contains(head, "token") {
		return errors.New("the header has no column `token`")
	}
	for {
		cells, err := rows.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			if e, ok := errors.AsType[*csv.ParseError](err); ok {
				return fmt.Errorf("line %d: %w", e.Line, e.Err)
			}
			return err
		}
		row := litellmRow{}
		for i, name := range head {
			if cells[i] != "" && cells[i] != `\N` && cells[i] != "NULL" {
				row[name] = cells[i]
			}
		}
		if err := add(row); err != nil {
			return err
		}
	}
}

// key is what a row is here.
func (row litellmRow) key(at string, now time.Time) Imported {
	im := Imported{At: at, Outcome: Mapped}
	im.Name = row.text("key_alias")
	if im.Name == "" {
		im.Name = row.text("key_name") // masked: sk-...abcd
	}
	if err := im.Hash.UnmarshalText([]byte(row.text("token"))); err != nil || im.Hash == (Hash{}) {
		im.refuse("its token is no SHA-256 in hex")
		return im
	}
	if im.Name == "" {
		im.Name = "imported-" + row.text("token")[:8]
	}
	if !printable(im.Name) || len(im.Name) > longestName {
		im.approximate("its name cannot be one here; it is called after its hash")
		im.Name = "imported-" + row.text("token")[:8]
	}
	im.Team, im.Organisation = row.text("team_id"), row.text("organization_id")
	if im.Team == "litellm-dashboard" {
		im.refuse("it is a session of LiteLLM's own pages, and no key")
		return im
	}
	row.times(&im, now)
	row.scope(&im)
	row.rules(&im)
	row.rest(&im)
	return im
}

func (row litellmRow) times(im *Imported, now time.Time) {
	im.Created, _ = moment(row.text("created_at"))
	if text := row.text("expires"); text != "" {
		var ok bool
		if im.Expires, ok = moment(text); !ok {
			im.refuse("its expiry cannot be read")
		} else if !im.Expires.After(now) {
			im.refuse("it expired at %s", im.Expires.UTC().Format(time.DateTime))
		}
	}
	switch strings.ToLower(row.text("blocked")) {
	case "", "false", "f", "0":
	default:
		im.Revoked = true
		im.Notes = append(im.Notes, "it is blocked, and therefore revoked here")
	}
}

func (row litellmRow) scope(im *Imported) {
	for _, m := range row.list("models") {
		switch m {
		case "all-team-models", "all-proxy-models", "*":
			im.Models = nil
			im.Notes = append(im.Notes, "it may call all models that what it belongs to may")
			return
		}
		im.Models = append(im.Models, m)
	}
}

func (row litellmRow) rules(im *Imported) {
	var rules struct {
		Limits  map[string]any   `json:"limits,omitempty"`
		Budgets []map[string]any `json:"budgets,omitempty"`
	}
	rules.Limits = map[string]any{}
	for _, l := range []struct{ column, name, unit string }{
		{"rpm_limit", "requests", "/m"},
		{"tpm_limit", "tokens", "/m"},
		{"max_parallel_requests", "concurrent", ""},
	} {
		text := row.text(l.column)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil || n < 0 || n > 1<<40:
			im.refuse("its %s cannot be read, and without it the key would have no such limit", l.column)
		case n == 0:
			im.refuse("its %s is 0, so that it may do nothing", l.column)
		case l.unit == "":
			rules.Limits[l.name] = n
		default:
			rules.Limits[l.name] = strconv.FormatInt(n, 10) + l.unit
		}
	}
	if b := row.budget(im); b != nil {
		rules.Budgets = append(rules.Budgets, b)
	}
	if im.Outcome == Refused {
		return
	}
	raw, err := json.Marshal(rules)
	var made account.Rules
	if err == nil {
		err = json.Unmarshal(raw, &made)
	}
	if err != nil {
		im.refuse("its limits cannot be taken: %v", err)
		return
	}
	im.Rules = made
}

// budget is its budget as our config would say it, or nil.
func (row litellmRow) budget(im *Imported) map[string]any {
	text := row.text("max_budget")
	if text == "" {
		return nil
	}
	amount, exact, ok := dollars(text)
	if !ok {
		im.refuse("its max_budget cannot be read, and without it the key would have no budget")
		return nil
	}
	if !exact {
		im.approximate("its budget is cut to whole nano-dollars")
	}
	per, note := period(row.text("budget_duration"))
	if per == "" {
		im.refuse("its budget_duration %s", note)
		return nil
	}
	if note != "" {
		im.approximate("%s", note)
	}
	spent, _, ok := dollars(row.text("spend"))
	switch {
	case !ok || spent.Sign() == 0:
	case per == "total":
		if amount.Sub(amount, spent).Sign() <= 0 {
			im.refuse("its budget is used up")
			return nil
		}
		im.approximate("its budget is what is left of it: %s was spent", decimal(spent))
	default:
		im.approximate("what it spent in the running period (%s) does not count here", decimal(spent))
	}
	if amount.Sign() == 0 {
		im.refuse("its budget is 0, so that it may do nothing")
		return nil
	}
	return map[string]any{"amount": decimal(amount), "per": per, "hard": true}
}

// rest notes what has no place here.
func (row litellmRow) rest(im *Imported) {
	for _, c := range []struct{ column, note string }{
		{"soft_budget", "its soft budget is left out; write `warn:` at the budget"},
		{"model_max_budget", "its budgets for single models are left out"},
		{"budget_id", "its shared budget is left out; write limits and budgets at its team"},
		{"budget_limits", "its further budgets are left out"},
		{"aliases", "its model aliases are left out; write them in `models:`"},
		{"config", "its own settings are left out"},
		{"permissions", "its permissions are left out"},
		{"allowed_routes", "its allowed routes are left out; write `surfaces:`"},
		{"object_permission_id", "its permissions on tools and stores are left out"},
		{"allowed_cache_controls", "its cache controls are left out"},
		{"router_settings", "its router settings are left out"},
		{"user_id", "its user is left out: a key belongs to a party"},
		{"metadata", "its metadata are left out"},
		{"rotation_interval", "its own rotation is left out"},
	} {
		if !row.empty(c.column) {
			im.approximate("%s", c.note)
		}
	}
}

// text is a cell as a word; empty when it is none.
func (row litellmRow) text(column string) string {
	switch v := row[column].(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// list is a cell with a list: of JSON, or as PostgreSQL writes one in CSV.
func (row litellmRow) list(column string) (out []string) {
	v := row[column]
	if text, is := v.(string); is {
		if inner, ok := strings.CutPrefix(text, "{"); ok && strings.HasSuffix(inner, "}") {
			cells, err := csv.NewReader(strings.NewReader(strings.TrimSuffix(inner, "}"))).Read()
			if err != nil {
				return nil
			}
			return cells
		}
		if json.Unmarshal([]byte(text), &out) != nil {
			return nil
		}
		return out
	}
	items, _ := v.([]any)
	for _, item := range items {
		if text, is := item.(string); is {
			out = append(out, text)
		}
	}
	return out
}

// empty reports whether a cell says nothing.
func (row litellmRow) empty(column string) bool {
	switch v := row[column].(type) {
	case nil:
		return true
	case string: // default_user_id is nobody
		return slices.Contains([]string{"", "{}", "[]", "null", "f", "false", "default_user_id"}, strings.TrimSpace(v))
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	case bool:
		return !v
	}
	return false
}

// moment reads a time as databases and APIs write it; without a zone it is UTC.
func moment(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05Z07:00", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() < 9999 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// dollars reads an amount, cut to nano-dollars.
func dollars(text string) (amount *big.Rat, exact, ok bool) {
	if len(text) > 40 || text == "" || strings.ContainsAny(text, "/xXpPiInN_") {
		return nil, false, false
	}
	if _, exponent, has := strings.Cut(strings.ToLower(text), "e"); has {
		if e, err := strconv.Atoi(exponent); err != nil || e < -30 || e > 15 {
			return nil, false, false
		}
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || r.Sign() < 0 || r.Cmp(big.NewRat(1_000_000_000, 1)) > 0 {
		return nil, false, false
	}
	nano := new(big.Int).Mul(r.Num(), big.NewInt(1_000_000_000))
	nano.Quo(nano, r.Denom())
	cut := new(big.Rat).SetFrac(nano, big.NewInt(1_000_000_000))
	return cut, cut.Cmp(r) == 0, true
}

// decimal writes an amount as short as it can be read.
func decimal(r *big.Rat) string {
	text := r.FloatString(9)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// period is our period for one of LiteLLM's: the shortest that is not shorter,
// so that nothing more may be spent in it.
func period(text string) (per, note string) {
	if text == "" {
		return "total", ""
	}
	digits := strings.TrimRight(text, "smhdwo")
	n, err := strconv.Atoi(digits)
	const day = 24 * 3600
	unit, known := map[string]int64{"s": 1, "m": 60, "h": 3600, "d": day, "w": 7 * day, "mo": 30 * day}[text[len(digits):]]
	if err != nil || !known || n <= 0 || n > 100_000_000 {
		return "", "cannot be read"
	}
	length := int64(n) * unit // seconds
	for _, p := range []struct {
		per   string
		most  int64
		words string
	}{{"day", day, "each day"}, {"week", 7 * day, "each week"}, {"month", 31 * day, "each calendar month"}} {
		if length > p.most {
			continue
		}
		if length == p.most || text == "1mo" {
			return p.per, ""
		}
		return p.per, fmt.Sprintf("its budget for %s counts for %s", text, p.words)
	}
	return "total", fmt.Sprintf("its budget for %s counts once and for all", text)
}
