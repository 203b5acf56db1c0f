package admin

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"tailplane/internal/ledger"
)

// step is one order, what is answered, and what it says; $NAME of a former answer
// is put into path and body.
type step struct {
	name, method, path, body string
	status                   int
	says                     string
	keep                     map[string]string // member of the answer -> NAME
}

// walk sends orders one after the other as the holder of the local token.
func walk(t *testing.T, h http.Handler, steps []step) {
	t.Helper()
	known := map[string]string{}
	fill := func(text string) string {
		for name, value := range known {
			text = strings.ReplaceAll(text, "$"+name, value)
		}
		return text
	}
	for _, s := range steps {
		w := send(h, s.method, fill(s.path), fill(s.body), func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if got := w.Body.String(); w.Code != s.status || !strings.Contains(got, fill(s.says)) {
			t.Errorf("%s: %d %s, want %d and %s", s.name, w.Code, got, s.status, fill(s.says))
		}
		if hash := regexp.MustCompile(`[0-9a-f]{64}`).FindString(w.Body.String()); hash != "" {
			t.Errorf("%s: a hash is told: %s", s.name, w.Body)
		}
		var answer map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &answer) // a list has nothing to keep
		for member, name := range s.keep {
			known[name], _ = answer[member].(string)
		}
	}
}

func TestTheLifeOfAKey(t *testing.T) {
	s, h := house(t)
	walk(t, h, []step{
		{"made", "POST", "/admin/v1/keys", `{"name":"app","label":"web","team":"t1","models":["gpt-*","m"],"limits":{"requests":"600/m"},"budgets":[{"amount":"5","per":"day","hard":true}],"lifetime_s":86400}`, 200, `"state":"usable"`, map[string]string{"id": "ID", "key": "TEXT"}},
		{"with its text", "POST", "/key/info", "", 405, "", nil},
		{"shown by its text, without it", "GET", "/key/info?key=$TEXT", "", 200, `"key":"$ID"`, nil},
		{"shown by its name", "GET", "/admin/v1/keys/app", "", 200, `"texts":[{"form":"hmac"}]`, nil},
		{"listed", "GET", "/admin/v1/keys?team=t1", "", 200, `"id":"$ID"`, nil},
		{"listed, not those of others", "GET", "/admin/v1/keys?team=t2", "", 200, `[]`, nil},
		{"in no party", "POST", "/admin/v1/keys", `{"name":"x","team":"nosuch"}`, 400, `there is no team`, nil},
		{"changed", "PATCH", "/admin/v1/keys/app", `{"models":["m"],"expires":"2099-01-01T00:00:00Z"}`, 200, `"models":["m"]`, nil},
		{"what was not named stays", "GET", "/admin/v1/keys/$ID", "", 200, `"limits":{"requests":"600/m"}`, nil},
		{"a list replaces a list", "PATCH", "/admin/v1/keys/app", `{"budgets":[{"amount":"7","per":"month"}]}`, 200, `"budgets":[{"amount":"7","per":"month"}]`, nil},
		{"whatever its spelling", "PATCH", "/admin/v1/keys/app", `{"BUDGETS":[{"amount":"8","per":"day","hard":true}]}`, 200, `"hard":true`, nil},
		{"and that again", "PATCH", "/admin/v1/keys/app", `{"Budgets":[{"amount":"9","per":"day"}]}`, 200, `"budgets":[{"amount":"9","per":"day"}]`, nil},
		{"changed upon what is no longer so", "PATCH", "/admin/v1/keys/app", `{"models":["x"],"revision":1}`, 409, "conflict", nil},
		{"changed to what there is not", "PATCH", "/admin/v1/keys/app", `{"colour":"red"}`, 400, "colour", nil},
		{"changed by no object", "PATCH", "/admin/v1/keys/app", `null`, 400, "no JSON object", nil},
		{"rotated", "POST", "/admin/v1/keys/app/rotate", `{"grace_s":3600}`, 200, `"id":"$ID"`, map[string]string{"key": "NEXT"}},
		{"with two texts", "GET", "/admin/v1/keys/app", "", 200, `"expires":`, nil},
		{"the old one opens", "GET", "/key/info?key=$TEXT", "", 200, `"key":"$ID"`, nil},
		{"and the new one", "GET", "/key/info?key=$NEXT", "", 200, `"key":"$ID"`, nil},
		{"a grace for ever", "POST", "/admin/v1/keys/app/rotate", `{"grace_s":99999999999}`, 400, "90 days", nil},
		{"revoked", "POST", "/admin/v1/keys/app/revoke", "", 200, `"state":"revoked"`, nil},
		{"its text opens nothing", "GET", "/key/info?key=$NEXT", "", 404, "not_found", nil},
		{"rotated after that", "POST", "/admin/v1/keys/app/rotate", `{}`, 400, "revoked", nil},
		{"nobody", "GET", "/admin/v1/keys/nosuch", "", 404, "not_found", nil},
		{"imported on trial", "POST", "/admin/v1/keys/import?trial=true", `{"name":"old","sha256":"` + strings.Repeat("a1", 32) + `"}`, 200, `"name":"old"`, nil},
		{"which makes none", "GET", "/admin/v1/keys?name=old", "", 200, `[]`, nil},
		{"imported", "POST", "/admin/v1/keys/import", `{"name":"old","sha256":"` + strings.Repeat("a1", 32) + `"}`, 200, `"outcome":"mapped"`, nil},
		{"is there", "GET", "/admin/v1/keys/old", "", 200, `"texts":[{"form":"sha256"}]`, nil},
		{"imported twice", "POST", "/admin/v1/keys/import", `{"name":"old","sha256":"` + strings.Repeat("a1", 32) + `"}`, 200, `"outcome":"refused"`, nil},
		{"imported in no form", "POST", "/admin/v1/keys/import?form=x", ``, 400, "no form", nil},
		{"made once more", "POST", "/admin/v1/keys", `{"name":"app","lifetime_s":-1}`, 200, `"state":"usable"`, nil},
		{"two have the name", "GET", "/admin/v1/keys/app", "", 409, "by its id", nil},
	})
	if s.Lookup("", time.Now()) != nil {
		t.Error("no text opens something")
	}
}

func TestTheLifeOfAParty(t *testing.T) {
	_, h := house(t)
	walk(t, h, []step{
		{"made", "PUT", "/admin/v1/teams/search", `{"organisation":"o1","limits":{"tokens":"1M/m"}}`, 200, `"level":"team","name":"search","organisation":"o1"`, nil},
		{"made twice", "PUT", "/admin/v1/teams/search", `{}`, 409, "there already", nil},
		{"in no organisation", "PUT", "/admin/v1/teams/x", `{"organisation":"nosuch"}`, 400, "nosuch", nil},
		{"changed", "PATCH", "/admin/v1/teams/search", `{"disabled":true}`, 200, `"limits":{"tokens":"1M/m"}`, nil},
		{"changed in one limit", "PATCH", "/admin/v1/teams/search", `{"limits":{"requests":"5/s"}}`, 200, `"limits":{"requests":"5/s","tokens":"1M/m"}`, nil},
		{"changed upon what is no longer so", "PATCH", "/admin/v1/teams/search", `{"disabled":false,"revision":1}`, 409, "conflict", nil},
		{"not there", "PATCH", "/admin/v1/teams/nosuch", `{}`, 404, "not_found", nil},
		{"in use", "DELETE", "/admin/v1/organisations/o1", "", 409, "search", nil},
		{"removed upon a word", "DELETE", "/admin/v1/teams/search?revision=x", "", 400, "number", nil},
		{"removed", "DELETE", "/admin/v1/teams/search", "", 200, `{"removed":"search"}`, nil},
		{"removed twice", "DELETE", "/admin/v1/teams/search", "", 404, "not_found", nil},
		{"and now it is free", "DELETE", "/admin/v1/organisations/o1", "", 200, `o1`, nil},
		{"a name that needs escaping", "PUT", "/admin/v1/customers/a%2Fb", `{}`, 200, `"name":"a/b"`, nil},
		{"is found so", "GET", "/admin/v1/customers/a%2Fb", "", 200, `"name":"a/b"`, nil},
	})
}

func TestTheShim(t *testing.T) {
	_, h := house(t)
	walk(t, h, []step{
		{"a team", "POST", "/team/new", `{"team_alias":"search","max_budget":1.5e2,"budget_duration":"30d","tpm_limit":1000}`, 200, `"team_id":"search"`, nil},
		{"has its limits", "GET", "/admin/v1/teams/search", "", 200, `"budgets":[{"amount":"150","per":"month","hard":true}]`, nil},
		{"a team of two names", "POST", "/team/new", `{"team_alias":"a","team_id":"b"}`, 400, "one name", nil},
		{"a customer", "POST", "/customer/new", `{"user_id":"ann","blocked":true}`, 200, `"blocked":true`, nil},
		{"a customer without a name", "POST", "/customer/new", `{}`, 400, "name", nil},
		{"a key", "POST", "/key/generate", `{"key_alias":"k","team_id":"search","models":["m"],"duration":"30d","rpm_limit":60,"max_budget":0.25}`, 200, `"key_alias":"k"`, map[string]string{"key": "TEXT", "token": "ID"}},
		{"has its limits, too", "GET", "/admin/v1/keys/$ID", "", 200, `"budgets":[{"amount":"0.25","per":"total","hard":true}]`, nil},
		{"a key of theirs that we cannot keep", "POST", "/key/generate", `{"key_alias":"k2","permissions":{}}`, 400, "permissions", nil},
		{"a period that is none here", "POST", "/key/generate", `{"max_budget":1,"budget_duration":"5h"}`, 400, "no period", nil},
		{"a period of nothing", "POST", "/key/generate", `{"budget_duration":"1d"}`, 400, "limits nothing", nil},
		{"a debt", "POST", "/key/generate", `{"max_budget":-1}`, 400, "no amount", nil},
		{"an amount that is too large to write", "POST", "/key/generate", `{"max_budget":1e999999999}`, 400, "no amount", nil},
		{"a duration that is none", "POST", "/key/generate", `{"duration":"soon"}`, 400, "is none", nil},
		{"changed by its text", "POST", "/key/update", `{"key":"$TEXT","models":["a","b"],"tpm_limit":5}`, 200, `"models":["a","b"]`, nil},
		{"keeps what was not named", "GET", "/admin/v1/keys/$ID", "", 200, `"limits":{"requests":"60/m","tokens":"5/m"}`, nil},
		{"without end", "POST", "/key/update", `{"key":"$ID","duration":"-1"}`, 200, `"expires":null`, nil},
		{"listed", "GET", "/key/list?size=1&page=2", "", 200, `"keys":["$ID"],"total_count":2,"total_pages":2`, nil},
		{"deleted with one that is not there", "POST", "/key/delete", `{"keys":["$TEXT","nosuch"]}`, 404, "not_found", nil},
		{"is not deleted by that", "GET", "/key/info?key=$TEXT", "", 200, `"blocked":false`, nil},
		{"deleted", "POST", "/key/delete", `{"keys":["$TEXT"]}`, 200, `{"deleted_keys":["$ID"]}`, nil},
		{"and gone", "GET", "/key/info?key=$TEXT", "", 404, "not_found", nil},
		{"nothing", "POST", "/key/delete", `{}`, 400, "names the keys", nil},
		{"a budget alone", "POST", "/budget/new", `{"max_budget":1}`, 422, "does not stand alone", nil},
		{"what was spent", "GET", "/spend/logs?user_id=acme", "", 200, `"spend":0.000000016`, nil},
		{"by a request", "GET", "/spend/logs?request_id=req_other", "", 200, `"end_user":"globex"`, nil},
		{"in days", "GET", "/spend/logs?start_date=2026-11-24&end_date=2026-11-24", "", 200, `req_own`, nil},
		{"before", "GET", "/spend/logs?end_date=2026-11-23", "", 200, `[]`, nil},
		{"in no day", "GET", "/spend/logs?start_date=x", "", 400, "must be a day", nil},
	})
	unpriced := spent(&ledger.Exchange{PriceStatus: ledger.Unpriced})
	if unpriced["spend"] != nil {
		t.Errorf("what has no price costs %v", unpriced["spend"])
	}
}

// TestTheShimIsForPrograms: the cookie of a browser opens none of it.
func TestTheShimIsForPrograms(t *testing.T) {
	s, h := house(t)
	text := s.Door.enterAs(t, viewers[Owner], "cookie")
	for _, at := range shim() {
		method, path, _ := strings.Cut(at.pattern, " ")
		w := send(h, method, path, "{}", func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: cookieName, Value: text})
			r.Header.Set("Origin", "http://localhost:4601")
		})
		if w.Code != 403 {
			t.Errorf("%s: %d %s", at.pattern, w.Code, w.Body)
		}
	}
}

// FuzzShimLimits: whatever stands in an order, the limits are what it says or it
// is refused; no number takes long.
func FuzzShimLimits(f *testing.F) {
	for _, seed := range []string{`{"max_budget":1.5e2,"budget_duration":"30d"}`, `{"max_budget":1e9999999999}`, `{"max_budget":-0}`, `{"tpm_limit":-1}`, `{"max_budget":0.0000000001}`, `{"max_budget":"7"}`} {
		f.Add(seed, "30d")
	}
	f.Fuzz(func(t *testing.T, text, span string) {
		var l shimLimits
		if json.Unmarshal([]byte(text), &l) == nil {
			if rules, err := l.rules(); err == nil && l.MaxBudget != "" && len(rules.Budgets) != 1 {
				t.Errorf("%s gives %+v", text, rules)
			}
		}
		if n, err := duration(span); err == nil && (n == 0 || n < -1) {
			t.Errorf("%q is %d seconds", span, n)
		}
	})
}
