package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tailplane/internal/account"
)

func sha(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// TestKeysOfLiteLLMGoOnWorking: their old texts open keys with the same limits.
func TestKeysOfLiteLLMGoOnWorking(t *testing.T) {
	s := openStore(t, t.TempDir())
	keys := inForce(t, Setting{}, s)
	put(t, s, account.Team, "team-1", PartyConfig{})
	export := `[
	{"token":"` + sha("sk-app") + `","key_name":"sk-...-app","key_alias":"app","models":["gpt-4o","claude-*"],"max_budget":100.5,"budget_duration":"1mo",
	 "tpm_limit":60000,"rpm_limit":60,"max_parallel_requests":4,"expires":"2027-01-01T00:00:00+00:00","blocked":null,"team_id":"team-1","user_id":"default_user_id",
	 "spend":0.0,"metadata":{},"aliases":{},"config":{},"permissions":{},"created_at":"2026-02-03T04:05:06.789Z"},
	{"token":"` + sha("sk-old") + `","key_name":"sk-...-old","expires":"2026-01-01T00:00:00Z"},
	{"token":"` + sha("sk-off") + `","key_alias":"off","blocked":true,"models":["all-proxy-models"]},
	{"token":"` + sha("sk-far") + `","key_alias":"far","team_id":"nobody","metadata":{"a":1}},
	{"token":"` + sha("sk-ui") + `","team_id":"litellm-dashboard"},
	{"token":"sk-plain-text-canary","key_alias":"plain"},
	{"token":"` + sha("sk-app") + `","key_alias":"again"}
	]`
	list, err := ReadLiteLLM(strings.NewReader(export), t0)
	if err != nil {
		t.Fatal(err)
	}
	trial, err := s.ImportKeys(t.Context(), "eve", list, true, t0)
	if err != nil || s.Len() != 0 || trial[0].ID != "" {
		t.Fatalf("a trial made %d keys, %v", s.Len(), err)
	}
	done, err := s.ImportKeys(t.Context(), "eve", list, false, t0)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		outcome Outcome
		note    string
	}{
		{Mapped, ""}, {Refused, "expired"}, {Mapped, "revoked"}, {Approximated, `no team "nobody"`}, {Refused, "own pages"}, {Refused, "SHA-256"}, {Refused, "row 1"},
	}
	for i, w := range want {
		notes := strings.Join(done[i].Notes, "; ")
		if done[i].Outcome != w.outcome || !strings.Contains(notes, w.note) || (done[i].ID != "") != (w.outcome != Refused) || strings.Contains(notes, "canary") {
			t.Errorf("%s: %s %q, want %s %q", done[i].At, done[i].Outcome, notes, w.outcome, w.note)
		}
		if done[i].Outcome != trial[i].Outcome {
			t.Errorf("%s: a trial says %s", done[i].At, trial[i].Outcome)
		}
	}
	app := keys.Find("sk-app", t0)
	if app == nil || app.Name != "app" || app.Party().Name != "team-1" || !app.MayCall("claude-x") || app.MayCall("gpt-5") || app.Created.Month() != 2 {
		t.Fatalf("%+v", app)
	}
	got, _ := json.Marshal(app.Rules)
	same, _ := json.Marshal(rules(t, `{"limits":{"requests":"60/m","tokens":"60000/m","concurrent":4},"budgets":[{"amount":"100.5","per":"month","hard":true}]}`))
	if string(got) != string(same) {
		t.Errorf("rules %s, want %s", got, same)
	}
	if keys.Why("sk-app", app.Expires) != LackExpired || keys.Why("sk-off", t0) != LackRevoked || keys.Find("sk-far", t0) == nil || keys.Find("sk-old", t0) != nil {
		t.Error("what was imported is not what it was")
	}
	if keys.Find(sha("sk-app"), t0) != nil {
		t.Error("a hash opens its key")
	}
	again, err := s.ImportKeys(t.Context(), "eve", list, false, t0)
	if err != nil || again[0].Outcome != Refused || !strings.Contains(again[0].Notes[0], "here already") || s.Len() != 3 {
		t.Errorf("again: %+v, %v, %d keys", again[0], err, s.Len())
	}
	v, rotated, err := s.RotateKey(t.Context(), "eve", "app", "", time.Hour, t0)
	if err != nil || keys.Find(v.Reveal(), t0) == nil || keys.Find("sk-app", t0) == nil || rotated.ID != app.ID {
		t.Errorf("an imported key is rotated: %v", err)
	}
	if keys.Find("sk-app", t0.Add(time.Hour)) != nil {
		t.Error("its old text still opens it")
	}
}

// TestWhatLiteLLMSays: column by column.
func TestWhatLiteLLMSays(t *testing.T) {
	for _, c := range []struct {
		row     string
		outcome Outcome
		note    string
		rules   string
	}{
		{`"max_budget":10,"budget_duration":"30d"`, Approximated, "each calendar month", `{"budgets":[{"amount":"10","per":"month","hard":true}]}`},
		{`"max_budget":10,"budget_duration":"24h"`, Mapped, "", `{"budgets":[{"amount":"10","per":"day","hard":true}]}`},
		{`"max_budget":10,"budget_duration":"7d"`, Mapped, "", `{"budgets":[{"amount":"10","per":"week","hard":true}]}`},
		{`"max_budget":10,"budget_duration":"1h"`, Approximated, "each day", `{"budgets":[{"amount":"10","per":"day","hard":true}]}`},
		{`"max_budget":10,"budget_duration":"3mo"`, Approximated, "once and for all", `{"budgets":[{"amount":"10","per":"total","hard":true}]}`},
		{`"max_budget":10,"budget_duration":"99999999mo"`, Approximated, "once and for all", `{"budgets":[{"amount":"10","per":"total","hard":true}]}`},
		{`"max_budget":10,"budget_duration":"soon"`, Refused, "budget_duration", ""},
		{`"max_budget":10,"spend":2.5`, Approximated, "what is left", `{"budgets":[{"amount":"7.5","per":"total","hard":true}]}`},
		{`"max_budget":10,"spend":10`, Refused, "used up", ""},
		{`"max_budget":10,"spend":1,"budget_duration":"1d"`, Approximated, "running period", `{"budgets":[{"amount":"10","per":"day","hard":true}]}`},
		{`"max_budget":1e-05`, Mapped, "", `{"budgets":[{"amount":"0.00001","per":"total","hard":true}]}`},
		{`"max_budget":1.0000000001`, Approximated, "nano-dollars", `{"budgets":[{"amount":"1","per":"total","hard":true}]}`},
		{`"max_budget":0`, Refused, "budget is 0", ""},
		{`"max_budget":-1`, Refused, "cannot be read", ""},
		{`"max_budget":"1e999999999"`, Refused, "cannot be read", ""},
		{`"rpm_limit":0`, Refused, "rpm_limit", ""},
		{`"tpm_limit":1.5`, Refused, "tpm_limit", ""},
		{`"max_parallel_requests":-1`, Refused, "max_parallel_requests", ""},
		{`"expires":"whenever"`, Refused, "expiry", ""},
		{`"allowed_routes":["/x"]`, Approximated, "surfaces", `{}`},
		{`"user_id":"ann"`, Approximated, "user", `{}`},
		{`"key_alias":"a\u0000b"`, Approximated, "hash", `{}`},
	} {
		list, err := ReadLiteLLM(strings.NewReader(`{"token":"`+sha("x")+`",`+c.row+`}`), t0)
		if err != nil || len(list) != 1 {
			t.Errorf("%s: %v", c.row, err)
			continue
		}
		im := list[0]
		notes := strings.Join(im.Notes, "; ")
		if im.Outcome != c.outcome || !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
			t.Errorf("%s: %s %q", c.row, im.Outcome, notes)
		}
		got, _ := json.Marshal(im.Rules)
		if want, _ := json.Marshal(rules(t, cmp.Or(c.rules, "{}"))); string(got) != string(want) {
			t.Errorf("%s: rules %s, want %s", c.row, got, want)
		}
	}
}

func TestEveryFormOfAnExportIsRead(t *testing.T) {
	row := `{"token":"` + sha("a") + `","key_alias":"a","models":["m","n o"],"rpm_limit":5}`
	for name, text := range map[string]string{
		"array":       "\xef\xbb\xbf [" + row + "]",
		"lines":       row + "\n" + strings.Replace(row, sha("a"), sha("b"), 1),
		"listing":     `{"keys":[` + row + `],"total_count":1}`,
		"csv":         "token,key_alias,models,rpm_limit,blocked\n" + sha("a") + `,a,"{m,""n o""}",5,f` + "\n",
		"csv of JSON": "token,key_alias,models,rpm_limit\n" + sha("a") + `,a,"[""m"",""n o""]",5` + "\n",
	} {
		list, err := ReadLiteLLM(strings.NewReader(text), t0)
		if err != nil || len(list) == 0 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if im := list[0]; im.Outcome != Mapped || im.Name != "a" || strings.Join(im.Models, "|") != "m|n o" || fmt.Sprint(im.Limits) != fmt.Sprint(limits("5/m")) {
			t.Errorf("%s: %+v", name, im)
		}
	}
	for text, want := range map[string]string{
		"":                              "",
		" \n":                           "",
		"[":                             "after row 0",
		"[1]":                           "no list of objects",
		`{"keys":["` + sha("a") + `"]}`: "return_full_object",
		"a,b\n1,2":                      "no column `token`",
		"token,b\n1":                    "line 2",
	} {
		list, err := ReadLiteLLM(strings.NewReader(text), t0)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) || len(list) != 0 {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
}

func TestOurOwnFormIsRead(t *testing.T) {
	text := `{"name":"a","sha256":"` + sha("sk-a") + `","models":["m"],"limits":{"requests":"5/m"},"expires":"2027-01-01T00:00:00Z","networks":["10.0.0.0/8"]}

{"name":"b","sha256":"sk-canary"}
{"name":"c"}
{"name":"d","sha265":"x"}
not JSON sk-canary
{"name":"e","sha256":"` + sha("sk-e") + `"}{}
`
	list, err := ReadKeys(strings.NewReader(text))
	if err != nil || len(list) != 6 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []string{"", "wrong form", "no sha256", "unknown field", "no JSON", "more than one"} {
		notes := strings.Join(list[i].Notes, "; ")
		if (want == "") != (list[i].Outcome == Mapped) || !strings.Contains(notes, want) || strings.Contains(notes, "canary") {
			t.Errorf("%s: %s %q, want %q", list[i].At, list[i].Outcome, notes, want)
		}
	}
	s := openStore(t, "")
	keys := inForce(t, Setting{}, s)
	if _, err := s.ImportKeys(t.Context(), "eve", list, false, t0); err != nil {
		t.Fatal(err)
	}
	if key := keys.Find("sk-a", t0); key == nil || fmt.Sprint(key.Limits) != fmt.Sprint(limits("5/m")) || key.Expires.Year() != 2027 || len(key.Networks) != 1 {
		t.Errorf("%+v", key)
	}
	if _, err := ReadKeys(strings.NewReader(strings.Repeat("x", 2<<20))); err == nil {
		t.Error("an endless line is read")
	}
}

func FuzzReadLiteLLM(f *testing.F) {
	for _, text := range []string{`[{"token":"` + sha("a") + `","max_budget":1,"budget_duration":"30d"}]`, "token,models\n" + sha("a") + `,"{a}"`, `{"keys":[{}]}`, "["} {
		f.Add(text)
	}
	s := NewStore(Pepper{}, nil)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadLiteLLM(strings.NewReader(text), t0)
		if err != nil {
			if strings.Contains(err.Error(), "canary") {
				t.Fatal(err)
			}
			return
		}
		checkImported(t, s, list)
	})
}

func FuzzReadKeys(f *testing.F) {
	f.Add(`{"name":"a","sha256":"` + sha("a") + `","limits":{"requests":"5/m"}}`)
	f.Add("{}\n{")
	s := NewStore(Pepper{}, nil)
	f.Fuzz(func(t *testing.T, text string) {
		if list, err := ReadKeys(strings.NewReader(text)); err == nil {
			checkImported(t, s, list)
		}
	})
}

// checkImported: each row has an outcome with its reason, and what is not refused
// can be made.
func checkImported(t *testing.T, s *Store, list []Imported) {
	done, err := s.ImportKeys(t.Context(), "fuzz", list, true, t0)
	if err != nil {
		t.Fatal(err)
	}
	for _, im := range done {
		switch {
		case im.Outcome == Refused && len(im.Notes) == 0, im.Outcome == Approximated && len(im.Notes) == 0, im.At == "":
			t.Fatalf("no reason: %+v", im)
		case im.Outcome != Refused && (im.Hash == (Hash{}) || im.check() != nil):
			t.Fatalf("no key: %+v", im)
		}
	}
}

func FuzzFind(f *testing.F) {
	s := NewStore(Pepper{}, nil)
	keys, err := NewKeys(Setting{}, s)
	if err != nil {
		f.Fatal(err)
	}
	keys.Use(t0)
	v, _, err := s.CreateKey(f.Context(), "fuzz", Order{KeySpec: KeySpec{Name: "app"}}, t0)
	if err != nil {
		f.Fatal(err)
	}
	imported := Imported{KeySpec: KeySpec{Name: "old"}, Hash: sha256.Sum256([]byte("sk-old"))}
	if _, err := s.ImportKeys(f.Context(), "fuzz", []Imported{imported}, false, t0); err != nil {
		f.Fatal(err)
	}
	own := v.Reveal()
	for _, text := range []string{own, own[:40], own + " ", strings.ToUpper(own), "sk-old", sha("sk-old"), "", "sk-tp-", strings.Repeat("a", longestToken+1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, why := keys.Find(text, t0), keys.Why(text, t0)
		if (found != nil) != (text == own || text == "sk-old") || (found == nil) != (why != "") {
			t.Fatalf("%q opens %+v, %q", text, found, why)
		}
	})
}
