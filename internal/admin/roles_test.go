package admin

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/facts"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/policy"
	"tailplane/internal/secret"
)

// viewers are one of each role.
var viewers = map[Role]Viewer{
	Owner: {Actor: "o", Role: Owner}, Operator: {Actor: "p", Role: Operator}, Finance: {Actor: "f", Role: Finance}, Reader: {Actor: "r", Role: Reader},
	GPUTeam: {Actor: "g", Role: GPUTeam, Targets: []string{"gpu-1"}}, CustomerViewer: {Actor: "c", Role: CustomerViewer, Customers: []string{"acme"}},
}

// What a role gets of a place.
const (
	all    = "all"
	part   = "part" // says what is its own, and nothing of what is not
	denied = ""
)

// places is the REST table with what each role gets of it, in the order of
// Roles: owner, operator, finance, viewer, gpu-team, customer-viewer.
var places = map[string]struct {
	path, body string
	get        [6]string
	own        [2]string // what gpu-team and customer-viewer are told
}{
	"GET /admin/v1/me":                      {"/admin/v1/me", "", [6]string{all, all, all, all, all, all}, [2]string{}},
	"GET /admin/v1/status":                  {"/admin/v1/status", "", [6]string{all, all, all, all, denied, denied}, [2]string{}},
	"GET /admin/v1/models":                  {"/admin/v1/models", "", [6]string{all, all, all, all, part, denied}, [2]string{`"target":"gpu-1"`}},
	"GET /admin/v1/targets":                 {"/admin/v1/targets", "", [6]string{all, all, all, all, part, denied}, [2]string{`"target":"gpu-1"`}},
	"POST /admin/v1/route/explain":          {"/admin/v1/route/explain", `{"body":{"model":"m"}}`, [6]string{all, all, all, all, denied, denied}, [2]string{}},
	"POST /admin/v1/targets/drain":          {"/admin/v1/targets/drain", `{"target":"gpu-1","drained":true}`, [6]string{all, all}, [2]string{}},
	"GET /admin/v1/egress":                  {"/admin/v1/egress", "", [6]string{all, all, all, all, denied, denied}, [2]string{}},
	"GET /admin/v1/exchanges":               {"/admin/v1/exchanges", "", [6]string{all, all, all, all, part, part}, [2]string{`"target":"gpu-1"`, `"customer":"acme"`}},
	"GET /admin/v1/exchanges/{id}":          {"/admin/v1/exchanges/req_own", "", [6]string{all, all, all, all, part, part}, [2]string{`"target":"gpu-1"`, `"customer":"acme"`}},
	"GET /admin/v1/usage":                   {"/admin/v1/usage", "", [6]string{all, all, all, all, part, part}, [2]string{`"target":"gpu-1"`, `"customer":"acme"`}},
	"GET /admin/v1/capacity":                {"/admin/v1/capacity", "", [6]string{all, all, all, all, denied, denied}, [2]string{}},
	"POST /admin/v1/keys":                   {"/admin/v1/keys", `{"name":"n"}`, [6]string{all, all}, [2]string{}},
	"GET /admin/v1/keys":                    {"/admin/v1/keys", ``, [6]string{all, all, all, all}, [2]string{}},
	"GET /admin/v1/keys/{name}":             {"/admin/v1/keys/k1", ``, [6]string{all, all, all, all}, [2]string{}},
	"PATCH /admin/v1/keys/{name}":           {"/admin/v1/keys/k1", `{"models":["m"]}`, [6]string{all, all}, [2]string{}},
	"POST /admin/v1/keys/{name}/rotate":     {"/admin/v1/keys/k1/rotate", `{"grace_s":60}`, [6]string{all, all}, [2]string{}},
	"POST /admin/v1/keys/{name}/revoke":     {"/admin/v1/keys/k1/revoke", ``, [6]string{all, all}, [2]string{}},
	"GET /admin/v1/organisations":           {"/admin/v1/organisations", ``, [6]string{all, all, all, all}, [2]string{}},
	"GET /admin/v1/organisations/{name}":    {"/admin/v1/organisations/o1", ``, [6]string{all, all, all, all}, [2]string{}},
	"PUT /admin/v1/organisations/{name}":    {"/admin/v1/organisations/new", `{"models":["m"]}`, [6]string{all, all}, [2]string{}},
	"PATCH /admin/v1/organisations/{name}":  {"/admin/v1/organisations/o1", `{"models":["m"]}`, [6]string{all, all}, [2]string{}},
	"DELETE /admin/v1/organisations/{name}": {"/admin/v1/organisations/o1", ``, [6]string{all, all}, [2]string{}},
	"GET /admin/v1/teams":                   {"/admin/v1/teams", ``, [6]string{all, all, all, all}, [2]string{}},
	"GET /admin/v1/teams/{name}":            {"/admin/v1/teams/t1", ``, [6]string{all, all, all, all}, [2]string{}},
	"PUT /admin/v1/teams/{name}":            {"/admin/v1/teams/new", `{"models":["m"]}`, [6]string{all, all}, [2]string{}},
	"PATCH /admin/v1/teams/{name}":          {"/admin/v1/teams/t1", `{"models":["m"]}`, [6]string{all, all}, [2]string{}},
	"DELETE /admin/v1/teams/{name}":         {"/admin/v1/teams/t1", ``, [6]string{all, all}, [2]string{}},
	"GET /admin/v1/customers":               {"/admin/v1/customers", ``, [6]string{all, all, all, all}, [2]string{}},
	"GET /admin/v1/customers/{name}":        {"/admin/v1/customers/c1", ``, [6]string{all, all, all, all}, [2]string{}},
	"PUT /admin/v1/customers/{name}":        {"/admin/v1/customers/new", `{"models":["m"]}`, [6]string{all, all}, [2]string{}},
	"PATCH /admin/v1/customers/{name}":      {"/admin/v1/customers/c1", `{"models":["m"]}`, [6]string{all, all}, [2]string{}},
	"DELETE /admin/v1/customers/{name}":     {"/admin/v1/customers/c1", ``, [6]string{all, all}, [2]string{}},
	"GET /admin/v1/statement":               {"/admin/v1/statement?month=2026-11", "", [6]string{all, all, all, all}, [2]string{}},
	"POST /admin/v1/statement":              {"/admin/v1/statement", `{"month":"2026-11"}`, [6]string{all, denied, all}, [2]string{}},
	"GET /admin/v1/calls":                   {"/admin/v1/calls?from=2026-11-24&to=2026-11-25", "", [6]string{all, all, all, all}, [2]string{}},
	"GET /admin/v1/budgets":                 {"/admin/v1/budgets", ``, [6]string{all, all, all, all}, [2]string{}},
	"POST /admin/v1/budgets/write-off":      {"/admin/v1/budgets/write-off", `{"gateway":"gw-2","reason":"r"}`, [6]string{all, denied, all}, [2]string{}},
	"POST /key/generate":                    {"/key/generate", `{"key_alias":"n","duration":"30d","models":["m"]}`, [6]string{all, all}, [2]string{}},
	"POST /key/update":                      {"/key/update", `{"key":"k1","models":["m"]}`, [6]string{all, all}, [2]string{}},
	"POST /key/delete":                      {"/key/delete", `{"key_aliases":["k1"]}`, [6]string{all, all}, [2]string{}},
	"GET /key/info":                         {"/key/info?key=k1", ``, [6]string{all, all, all, all}, [2]string{}},
	"GET /key/list":                         {"/key/list", ``, [6]string{all, all, all, all}, [2]string{}},
	"POST /team/new":                        {"/team/new", `{"team_id":"t2"}`, [6]string{all, all}, [2]string{}},
	"POST /customer/new":                    {"/customer/new", `{"user_id":"c2"}`, [6]string{all, all}, [2]string{}},
	"GET /spend/logs":                       {"/spend/logs", ``, [6]string{all, all, all, all}, [2]string{}},
	"POST /admin/v1/keys/import":            {"/admin/v1/keys/import", `{"name":"i","sha256":"` + strings.Repeat("ab", 32) + `"}`, [6]string{all, all}, [2]string{}},
	"POST /admin/v1/keys/aws":               {"/admin/v1/keys/aws", `{"key":"n"}`, [6]string{all, all}, [2]string{}},
	"GET /admin/v1/audit":                   {"/admin/v1/audit", "", [6]string{all, all, all}, [2]string{}},
	"GET /admin/v1/audit/verify":            {"/admin/v1/audit/verify", "", [6]string{all, all, all}, [2]string{}},
	"POST /admin/v1/rerate":                 {"/admin/v1/rerate", `{"from":"2026-11-01"}`, [6]string{all, denied, all}, [2]string{}},
	"GET /admin/v1/ledger/verify":           {"/admin/v1/ledger/verify", "", [6]string{all, all, all}, [2]string{}},
	"POST /admin/v1/reload":                 {"/admin/v1/reload", "", [6]string{all, all}, [2]string{}},
	"POST /admin/v1/links":                  {"/admin/v1/links", `{"role":"finance"}`, [6]string{all}, [2]string{}},
	"GET /admin/v1/sessions":                {"/admin/v1/sessions", "", [6]string{all}, [2]string{}},
	"DELETE /admin/v1/sessions/{id}":        {"/admin/v1/sessions/all", "", [6]string{all}, [2]string{}},
}

// hidden is what stands in the exchanges below, beside what is a narrow role's
// own: it must not be told.
var hidden = map[Role][]string{
	GPUTeam:        {"globex", "acme", "cloud-1", "key-name", "cost", "pric", "the-team", "the-org", "priced", "bob"},
	CustomerViewer: {"globex", "cloud-1", "gpu-1", "key-name", "cost", "pric", "10.0.0.1", "the-team", "the-org", "unpriced"},
}

// house is a desk with exchanges of two customers at two targets.
func house(t *testing.T) (*Service, http.Handler) {
	t.Helper()
	s, h := desk(t)
	s.Reload = func() error { return nil }
	s.Targets = func() []Target { return []Target{{Name: "cloud-1", Kind: "openai"}, {Name: "gpu-1", Kind: "vllm"}} }
	s.Drain = func(string, bool) bool { return true }
	s.Statements = clerk{}
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	for level, name := range map[account.Level]string{account.Organisation: "o1", account.Team: "t1", account.Customer: "c1"} {
		if _, err := s.Keys.PutParty(t.Context(), "house", level, name, policy.PartyConfig{}, 0, now); err != nil {
			t.Fatal(err)
		}
	}
	k, err := policy.NewKeys(policy.Setting{}, s.Keys)
	if err != nil {
		t.Fatal(err)
	}
	k.Use(now)
	if _, _, err := s.Keys.CreateKey(t.Context(), "house", policy.Order{KeySpec: policy.KeySpec{Name: "k1"}, Lifetime: policy.Never}, now); err != nil {
		t.Fatal(err)
	}
	s.Lookup = k.Find
	s.Accounts = account.New(account.Options{})
	s.Forgive = func(context.Context, string) (int64, error) { return 5, nil }
	s.Hourly = func() map[string]int64 { return nil }
	s.Models = func(string) ([]Model, bool) {
		return []Model{
			{Name: "both", Why: "cloud-1 first", Candidates: []Candidate{{Target: "cloud-1", Address: "cloud-1.test"}, {Target: "gpu-1", Pricing: "priced"}}},
			{Name: "other", Candidates: []Candidate{{Target: "cloud-1"}}},
		}, true
	}
	at := func(target string) []ledger.Attempt {
		return []ledger.Attempt{
			{Target: "cloud-1", Cost: 7, Priced: ledger.Priced, Fault: llm.FaultKind("overloaded")},
			{Target: target, Cost: 9, Priced: ledger.Priced},
		}
	}
	for _, ex := range []ledger.Exchange{
		{ID: "req_own", Customer: "acme", Attempts: at("gpu-1")},
		{ID: "req_other", Customer: "globex", Attempts: at("cloud-1")},
		{ID: "req_nobody", Attempts: at("cloud-1")},
	} {
		ex.Start, ex.Model, ex.Outcome = time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC), "m", ledger.OutcomeOK
		ex.Key, ex.Name, ex.Team, ex.Organisation, ex.Cost, ex.PriceStatus = "key-id", "key-name", "the-team", "the-org", 16, ledger.Priced
		if err := s.Journal.Admit(&ex); err != nil {
			t.Fatal(err)
		}
		if err := s.Journal.Settle(&ex); err != nil {
			t.Fatal(err)
		}
	}
	return s, h
}

// enter lets a viewer in and returns the token.
func (d *Door) enterAs(t *testing.T, v Viewer, how string) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	text, _, err := d.admit(v, how, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func send(h http.Handler, method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:4601"
	change(r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestEveryPlaceForEveryRole walks the REST table: a place that is added has no
// row here, and fails.
func TestEveryPlaceForEveryRole(t *testing.T) {
	var have []string
	for _, r := range routes() {
		if r.pattern != "POST /budget/new" { // refused to everybody, with what to do instead
			have = append(have, r.pattern)
		}
	}
	if rows := slices.Sorted(maps.Keys(places)); !slices.Equal(rows, slices.Sorted(slices.Values(have))) {
		t.Fatalf("the table has %q\nand the rows are %q", slices.Sorted(slices.Values(have)), rows)
	}
	for pattern, place := range places {
		method, _, _ := strings.Cut(pattern, " ")
		for i, role := range Roles() {
			s, h := house(t)
			token := s.Door.enterAs(t, viewers[role], "token")
			w := send(h, method, place.path, place.body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
			got := w.Body.String()
			switch place.get[i] {
			case denied:
				if w.Code != 403 || !strings.Contains(got, "it takes the role owner") || !strings.Contains(got, "the role "+string(role)) {
					t.Errorf("%s as %s: %d %s", pattern, role, w.Code, got)
				}
			case part:
				own := place.own[i-4]
				if w.Code != 200 || !strings.Contains(got, own) {
					t.Errorf("%s as %s: %d %s, want %s", pattern, role, w.Code, got, own)
				}
				for _, secret := range hidden[role] {
					if strings.Contains(got, secret) {
						t.Errorf("%s tells %s: %s\n%s", pattern, role, secret, got)
					}
				}
			default:
				if w.Code != 200 {
					t.Errorf("%s as %s: %d %s", pattern, role, w.Code, got)
				}
			}
		}
	}
}

// TestNobodyMayNothing: the zero viewer, and one of a role that does not exist.
func TestNobodyMayNothing(t *testing.T) {
	for right := range holders {
		for _, v := range []Viewer{{}, {Role: "admin"}} {
			if v.may(right) == nil {
				t.Errorf("%+v may %s", v, right)
			}
		}
	}
}

// TestANarrowRoleCannotAskAround: filters, columns and ids do not lead out of
// what is a viewer's own.
func TestANarrowRoleCannotAskAround(t *testing.T) {
	cases := []struct {
		role   Role
		path   string
		status int
		says   string
	}{
		{CustomerViewer, "exchanges?customer=globex", 403, "not its own"},
		{CustomerViewer, "exchanges?customer=acme", 200, "req_own"},
		{CustomerViewer, "exchanges?key=key-name", 403, "filter"},
		{CustomerViewer, "exchanges?target=gpu-1", 403, "filter"},
		{CustomerViewer, "exchanges/req_other", 404, "not_found"},
		{CustomerViewer, "exchanges/req_nobody", 404, "not_found"},
		{CustomerViewer, "exchanges/req_o", 404, "not_found"}, // two begin so
		{CustomerViewer, "usage?by=target", 403, "sum by target"},
		{CustomerViewer, "usage?by=key", 403, "sum by key"},
		{CustomerViewer, "usage?by=model,day", 200, `"requests":1`},
		{GPUTeam, "exchanges?target=cloud-1", 403, "not its own"},
		{GPUTeam, "exchanges?target=gpu-1&model=m", 200, "req_own"},
		{GPUTeam, "exchanges?customer=acme", 403, "filter"},
		{GPUTeam, "exchanges/req_other", 404, "not_found"},
		{GPUTeam, "usage?by=customer", 403, "sum by customer"},
		{GPUTeam, "usage?by=model", 200, `"requests":1`},
		{GPUTeam, "models?key=n", 403, "key's models"},
	}
	s, h := house(t)
	for _, c := range cases {
		token := s.Door.enterAs(t, viewers[c.role], "token")
		w := send(h, "GET", "/admin/v1/"+c.path, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s as %s: %d %s, want %d and %s", c.path, c.role, w.Code, w.Body, c.status, c.says)
		}
	}
}

// TestANarrowRoleWithoutAnythingSeesNothing, where an empty filter would let
// everything pass.
func TestANarrowRoleWithoutAnythingSeesNothing(t *testing.T) {
	s, _ := house(t)
	for _, v := range []Viewer{{Role: CustomerViewer}, {Role: CustomerViewer, Customers: []string{""}}, {Role: GPUTeam}, {Role: GPUTeam, Targets: []string{""}}} {
		view := s.As(v)
		list, err := view.Recent(t.Context(), 10, ledger.Filter{})
		sums, err2 := view.Usage(t.Context(), ledger.UsageQuery{})
		_, err3 := view.Why(t.Context(), "req_nobody")
		if err != nil || err2 != nil || len(list) != 0 || len(sums) != 0 || err3 == nil {
			t.Errorf("%+v sees %d exchanges and %d sums (%v, %v, %v)", v, len(list), len(sums), err, err2, err3)
		}
	}
}

// TestSeveralCustomersComeTogether, newest first and within the limit.
func TestSeveralCustomersComeTogether(t *testing.T) {
	s, _ := house(t)
	view := s.As(Viewer{Role: CustomerViewer, Customers: []string{"globex", "acme", "acme"}})
	for limit, want := range map[int]string{1: "req_own", 2: "req_own req_other", 10: "req_own req_other"} {
		list, err := view.Recent(t.Context(), limit, ledger.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range list {
			raw, _ := json.Marshal(r)
			var one struct{ ID string }
			if err := json.Unmarshal(raw, &one); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, one.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("limit %d: %s, want %s", limit, got, want)
		}
	}
}

func TestLetInByALink(t *testing.T) {
	s, h := house(t)
	form := func(code string, change func(*http.Request)) *httptest.ResponseRecorder {
		return send(h, "POST", "/admin/login", "code="+code, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			change(r)
		})
	}
	link := func(order string) Link {
		w := send(h, "POST", "/admin/v1/links", order, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		var made Link
		if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || made.Code == "" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return made
	}
	own := func(r *http.Request) { r.Header.Set("Origin", "http://localhost:4601") }
	made := link(`{"role":"customer-viewer","customers":["acme"],"name":"ann"}`)
	if want := "http://localhost:4601/admin/login?code=" + made.Code; made.URL != want {
		t.Errorf("the link is %s, want %s", made.URL, want)
	}
	for range 2 { // a program that previews links uses none up
		if w := send(h, "GET", strings.TrimPrefix(made.URL, "http://localhost:4601"), "", func(*http.Request) {}); w.Code != 200 || !strings.Contains(w.Body.String(), "<button>") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if w := form(made.Code, func(*http.Request) {}); w.Code != 403 {
		t.Errorf("without an origin: %d", w.Code)
	}
	if w := form(made.Code, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }); w.Code != 403 {
		t.Errorf("from another page: %d", w.Code)
	}
	w := form(made.Code, own)
	cookies := w.Result().Cookies()
	if w.Code != 200 || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Secure || cookies[0].MaxAge != 12*3600 {
		t.Fatalf("%d %s %+v", w.Code, w.Body, cookies)
	}
	if w := form(made.Code, own); w.Code != 403 || !strings.Contains(w.Body.String(), "works once") {
		t.Errorf("a second time: %d %s", w.Code, w.Body)
	}
	cookie := func(r *http.Request) { r.AddCookie(cookies[0]) }
	if w := send(h, "GET", "/admin/v1/me", "", cookie); w.Code != 200 || !strings.Contains(w.Body.String(), `"actor":"link:ann"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := send(h, "GET", "/admin/v1/me", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+cookies[0].Value) }); w.Code != 401 {
		t.Errorf("the cookie as a token: %d", w.Code)
	}
	byToken := form(link(`{"role":"finance"}`).Code, func(r *http.Request) { r.Header.Set("Accept", "application/json") })
	var let Let
	if err := json.Unmarshal(byToken.Body.Bytes(), &let); err != nil || let.Viewer.Role != Finance {
		t.Fatalf("%d %s", byToken.Code, byToken.Body)
	}
	if w := send(h, "GET", "/admin/v1/usage", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+let.Token) }); w.Code != 200 {
		t.Errorf("by the token: %d %s", w.Code, w.Body)
	}
	if got := s.Door.Sessions(time.Now()); len(got) != 2 || strings.Contains(mustJSON(t, got), let.Token) {
		t.Errorf("%+v", got)
	}
	if w := send(h, "POST", "/admin/logout", "", func(r *http.Request) { cookie(r); own(r) }); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	if w := send(h, "GET", "/admin/v1/me", "", cookie); w.Code != 401 {
		t.Errorf("after the logout: %d", w.Code)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestACookieChangesNothingFromAnotherPage: the session of a browser counts with
// an Origin that is the listener's own.
func TestACookieChangesNothingFromAnotherPage(t *testing.T) {
	s, h := house(t)
	text := s.Door.enterAs(t, viewers[Owner], "cookie")
	for origin, status := range map[string]int{
		"": 403, "null": 403, "http://evil.example": 403, "http://localhost:4601.evil.example": 403, "http://localhost": 403,
		"http://localhost:4601": 200, "https://LOCALHOST:4601": 200,
	} {
		w := send(h, "POST", "/admin/v1/reload", "", func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: cookieName, Value: text})
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		})
		if w.Code != status {
			t.Errorf("from %q: %d %s, want %d", origin, w.Code, w.Body, status)
		}
	}
}

func TestLinksAndSessionsEnd(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	d := NewDoor(secret.Plain(token))
	code, err := d.newLink(viewers[Finance], time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.enter(code, "token", now.Add(time.Minute)); err == nil {
		t.Error("a link works after its time")
	}
	if _, _, err := d.enter(linkPrefix+random(), "token", now); err == nil {
		t.Error("a link that nobody made works")
	}
	text, _, err := d.enter(code, "token", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := d.session(text, "token", now.Add(sessionTime-1)); !ok {
		t.Error("the session ends early")
	}
	if _, ok := d.session(text, "token", now.Add(sessionTime)); ok {
		t.Error("the session does not end")
	}
	no := false
	code, _ = d.newLink(viewers[Finance], time.Minute, now)
	d.Use(Config{Links: &no}, nil)
	if _, _, err := d.enter(code, "token", now); err == nil {
		t.Error("a link works where links are forbidden")
	}
	if _, err := d.newLink(viewers[Finance], time.Minute, now); err == nil {
		t.Error("a link is made where links are forbidden")
	}
}

func TestTheDoorIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	d := NewDoor(secret.Plain(token))
	for range mostLinks {
		if _, err := d.newLink(viewers[Finance], time.Minute, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.newLink(viewers[Finance], time.Minute, now); err == nil {
		t.Error("links without an end")
	}
	if _, err := d.newLink(viewers[Finance], time.Minute, now.Add(time.Minute)); err != nil {
		t.Errorf("after the others ended: %v", err)
	}
	l := limiter{most: 2, per: time.Minute}
	var got []bool
	for _, at := range []time.Duration{0, 1, 2, time.Minute} {
		got = append(got, l.allows("a", now.Add(at)))
	}
	if want := []bool{true, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if !l.allows("b", now.Add(time.Minute)) {
		t.Error("another address waits, too")
	}
}

// TestTheLocalTokenHasTheRoleOfTheFile.
func TestTheLocalTokenHasTheRoleOfTheFile(t *testing.T) {
	s, h := house(t)
	for role, status := range map[Role]int{"": 200, Owner: 200, Operator: 200, Reader: 403} {
		s.Door.Use(Config{Local: role}, nil)
		w := send(h, "POST", "/admin/v1/reload", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if w.Code != status {
			t.Errorf("%q: %d %s, want %d", role, w.Code, w.Body, status)
		}
	}
}

// TestEveryChangeIsInTheAudit, with who made it and nothing secret, and the trail
// verifies.
func TestEveryChangeIsInTheAudit(t *testing.T) {
	s, h := house(t)
	orders := []struct{ method, path, body, kind string }{
		{"POST", "reload", "", kindReload},
		{"POST", "reload", "", kindReload},
		{"POST", "targets/drain", `{"target":"gpu-1","drained":true}`, kindDrain},
		{"POST", "links", `{"role":"finance","name":"ann"}`, kindLink},
		{"POST", "links", `{"role":"viewer","name":"ann"}`, kindLink},
		{"DELETE", "sessions/all", "", kindSession},
		{"POST", "keys", `{"name":"n"}`, facts.KindKey},
	}
	for _, o := range orders {
		w := send(h, o.method, "/admin/v1/"+o.path, o.body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", o.path, w.Code, w.Body)
		}
	}
	list, err := s.As(viewers[Finance]).Audit(t.Context(), facts.AuditQuery{Actor: "local"})
	if err != nil || len(list) != len(orders) {
		t.Fatalf("%d records, %v", len(list), err)
	}
	for i, a := range list {
		if o := orders[len(orders)-1-i]; a.Kind != o.kind || a.Actor != "local" || a.After == nil {
			t.Errorf("%+v for %s", a, o.path)
		}
		if text := string(a.Before) + string(a.After); strings.Contains(text, linkPrefix) || strings.Contains(text, "sk-tp-") {
			t.Errorf("a secret is told: %s", text)
		}
	}
	if list[2].Before == nil || !strings.Contains(string(list[2].Before), "finance") {
		t.Errorf("the second link of a name has no before: %+v", list[2])
	}
	report, err := s.As(viewers[Owner]).VerifyAudit(t.Context())
	if err != nil || !report.OK() || report.Records < int64(len(orders)) {
		t.Errorf("%+v, %v", report, err)
	}
	for query, want := range map[string]int{"kind=link": 2, "actor=local&limit=1": 1, "actor=nobody": 0, "below=3": 2, "kind=reload&limit=1": 1} {
		w := send(h, "GET", "/admin/v1/audit?"+query, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		var got []facts.Audit
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got) != want {
			t.Errorf("%s: %d %s, want %d", query, w.Code, w.Body, want)
		}
	}
	if w := send(h, "GET", "/admin/v1/audit?limit=100000", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestTwoNotesAtOnce: neither is lost.
func TestTwoNotesAtOnce(t *testing.T) {
	s, _ := house(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.As(viewers[Operator]).Reload(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list, err := s.Facts.Audit(t.Context(), facts.AuditQuery{Kind: kindReload}); err != nil || len(list) != 8 {
		t.Errorf("%d records, %v", len(list), err)
	}
}
