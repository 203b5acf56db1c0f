package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// program is a `tailplane serve` of its own process, with its own directory.
type program struct {
	cmd        *exec.Cmd
	dir        string
	env        []string
	said, logs *followed
	data       string // http://host:port
	adm        string
}

// launch starts the program and waits until it is ready. binary is a path, or
// "tailplane" for this test's own.
func launch(t *testing.T, binary, dir string, env []string, args ...string) *program {
	t.Helper()
	p := &program{dir: dir, env: append(env, "PATH="+os.Getenv("PATH"), "HOME=/nowhere", noRaceSleep, "TAILPLANE_STATE="+filepath.Join(dir, "state"))}
	p.cmd = exec.Command(binary, append([]string{"serve", "--data", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)...)
	p.cmd.Dir, p.cmd.Env = dir, p.env
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.said, err = follow(stdout, filepath.Join(dir, "serve.out")); err != nil {
		t.Fatal(err)
	}
	if p.logs, err = follow(stderr, filepath.Join(dir, "serve.err")); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	if err := p.said.await("^ready in "); err != nil {
		t.Fatalf("serve: %v\n%s", err, read(t, filepath.Join(dir, "serve.err")))
	}
	var at struct{ Data, Admin string }
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "state", "run.json"))), &at); err != nil {
		t.Fatal(err)
	}
	p.data, p.adm = "http://"+at.Data, "http://"+at.Admin
	return p
}

// command runs another command of the program against it, and returns all that
// it says.
func (p *program) command(args ...string) string {
	cmd := exec.Command("tailplane", args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	return fmt.Sprintf("$ tailplane %s\n%s[%v]\n", strings.Join(args, " "), out, err)
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// parrot is an upstream that repeats every credential it is sent, in every place
// where an error has words.
func parrot(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var asked struct {
		Model  string
		Stream bool
	}
	_ = json.Unmarshal(body, &asked)
	var secrets strings.Builder
	secrets.WriteString(strings.Join([]string{r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.Header.Get("X-Org")}, " and "))
	for _, name := range []string{"Authorization", "X-Org"} {
		secrets.WriteString(" " + base64.StdEncoding.EncodeToString([]byte(strings.TrimPrefix(r.Header.Get(name), "Bearer "))))
	}
	if said := secrets.String() + " " + r.Header.Get("X-Vault-Token") + " " + r.Header.Get("X-Amz-Security-Token") + " " + string(body); repeatedElsewhere(w, r, said) {
		return
	}
	fault := fmt.Sprintf(`{"error":{"message":"wrong key: %s","type":"%s","code":"%s","param":"%s"}}`, secrets.String(), secrets.String(), secrets.String(), secrets.String())
	status, after, ok := strings.Cut(asked.Model, "-")
	switch {
	case !ok:
		_, _ = io.WriteString(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}`)
	case status == "200" && asked.Stream:
		w.Header().Set("Content-Type", "text/event-stream")
		if after == "late" {
			_, _ = io.WriteString(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}`+"\n\n")
		}
		_, _ = io.WriteString(w, "data: "+fault+"\n\n")
	case after == "html":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>"+secrets.String()+"</html>")
	default:
		code := http.StatusOK
		_, _ = fmt.Sscanf(status, "%d", &code)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, fault)
	}
}

// repeatedElsewhere answers as Vault or AWS STS would refuse, with what they were
// sent.
func repeatedElsewhere(w http.ResponseWriter, r *http.Request, said string) bool {
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/kv/data/"):
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"errors":[%q]}`, "permission denied: "+said)
	case r.Header.Get("X-Amz-Date") != "":
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>wrong identity: %s</Message></Error></ErrorResponse>`, html.EscapeString(said))
	default:
		return false
	}
	return true
}

// The canaries have no form by which a scanner could know them.
const (
	canaryEnv    = "CANARYenvCANARYenv0123456789"
	canaryFile   = "CANARYfileCANARYfile0123456789"
	canaryHeader = "CANARYheaderCANARYheader0123456789"
	canaryClient = "CANARYclientCANARYclient0123456789"
	canaryWrong  = "CANARYwrongCANARYwrong0123456789"
	canaryOther  = "CANARYotherCANARYother0123456789"
	canaryNext   = "CANARYnextCANARYnext0123456789"
	canaryVault  = "CANARYvaultCANARYvault0123456789"
	canaryAWS    = "CANARYawsCANARYaws0123456789"
)

const canaryConfig = `targets:
  env: {kind: openai-compatible, url: "URL", key: env:UP_KEY, headers: {x-org: env:UP_ORG}}
  file: {kind: anthropic, url: "URL", key: "file:key.txt"}
  pool: {kind: openai-compatible, url: "URL", keys: [{name: a, key: env:UP_KEY, next_key: env:NEXT_KEY}, {name: b, key: "file:key.txt"}]}
  vault: {kind: openai-compatible, url: "URL", key: "vault:kv/x#key"}
  role: {kind: openai-compatible, url: "URL", auth: {aws: {region: eu-central-1, access_key: env:AWS_KEY, secret_key: env:AWS_KEY, session_token: env:AWS_KEY, role_arn: "arn:aws:iam::123456789012:role/x", sts_url: "URL"}}}
models:
  ok: {route: [env/m]}
  both: {route: [env/429-x, file/500-x]}
keys:
  static: [{name: ci, key: env:CLIENT_KEY}]
`

// TestNoOutputHoldsASecret runs a whole session against an upstream that repeats
// what it is sent, and looks for the planted secrets in everything that came out.
func TestNoOutputHoldsASecret(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(parrot))
	defer up.Close()
	dir := t.TempDir()
	text := strings.ReplaceAll(canaryConfig, "URL", up.URL)
	for name, content := range map[string]string{"tailplane.yaml": text, "key.txt": canaryFile + "\n", "bad.yaml": strings.Replace(text, "env:UP_KEY", canaryOther, 1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := launch(t, "tailplane", dir, []string{
		"UP_KEY=" + canaryEnv, "UP_ORG=" + canaryHeader, "CLIENT_KEY=" + canaryClient, "NEXT_KEY=" + canaryNext, "AWS_KEY=" + canaryAWS,
		"VAULT_ADDR=" + up.URL, "VAULT_TOKEN=" + canaryVault, "OPENAI_API_KEY=" + canaryOther,
	})
	out := map[string]string{}
	for _, model := range []string{"ok", "both", "env/200-x", "env/200-late", "env/400-x", "env/401-x", "env/403-x", "env/404-x", "env/429-x", "env/500-x", "env/502-html", "file/401-x", "pool/401-x", "vault/200-x", "role/200-x", "nosuch"} {
		for _, stream := range []bool{false, true} {
			for _, path := range []string{"/v1/chat/completions", "/v1/messages", "/v1/responses"} {
				out[fmt.Sprint(path, model, stream)] = p.post(t, path, canaryClient, fmt.Sprintf(
					`{"model":%q,"stream":%v,"max_tokens":5,"messages":[{"role":"user","content":"x"}],"input":"x"}`, model, stream))
			}
		}
	}
	out["wrong key"] = p.post(t, "/v1/chat/completions", canaryWrong, `{"model":"ok","messages":[]}`)
	out["broken"] = p.post(t, "/v1/chat/completions", canaryClient, `{"model":`)
	session(t, p, out)
	p.end(t)
	out["serve.out"], out["serve.err"] = read(t, filepath.Join(dir, "serve.out")), read(t, filepath.Join(dir, "serve.err"))
	if !strings.Contains(out["serve.err"], "msg=request") || !strings.Contains(out["/v1/chat/completionsok"+"false"], "hello") {
		t.Fatalf("the session did not take place:\n%s", out["serve.err"])
	}
	if !strings.Contains(strings.Join(slices.Collect(maps.Values(out)), "\n"), "wrong key: Bearer [key]") {
		t.Error("the parrot's words are nowhere, so nothing could have been found in them")
	}
	if all := strings.Join(slices.Collect(maps.Values(out)), "\n"); !strings.Contains(all, "permission denied: ") || !strings.Contains(all, "wrong identity: ") || !strings.Contains(all, "left alone") {
		t.Error("what identity endpoints said is nowhere, so nothing could have been found in it")
	}
	token := strings.TrimSpace(read(t, filepath.Join(dir, "state", "admin.token")))
	gather(t, filepath.Join(dir, "state"), out)
	delete(out, "admin.token") // its place
	for place, said := range out {
		for _, canary := range []string{canaryEnv, canaryFile, canaryHeader, canaryClient, canaryWrong, canaryOther, canaryNext, canaryVault, canaryAWS, token} {
			for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), base64.RawStdEncoding.EncodeToString([]byte("Bearer " + canary))[:24]} {
				if i := strings.Index(said, form); i >= 0 {
					t.Errorf("%s holds %s: ...%q", place, form, said[max(0, i-200):i+len(form)])
				}
			}
		}
	}
	// Those that are shown once are kept nowhere.
	made := regexp.MustCompile(`sk-tp-env-\w{49}`).FindString(out["env"])
	if made == "" {
		t.Fatalf("no key was made: %s", out["env"])
	}
	delete(out, "env")
	for place, said := range out {
		if strings.Contains(said, made) {
			t.Errorf("%s holds a client key that was shown once", place)
		}
	}
}

// session asks everything that can be asked.
func session(t *testing.T, p *program, out map[string]string) {
	t.Helper()
	for _, args := range [][]string{
		{"check"},
		{"check", "bad.yaml"},
		{"config", "init"},
		{"why"},
		{"why", "-o", "json"},
		{"usage"},
		{"usage", "--by", "key,target,outcome", "-o", "json"},
		{"models"},
		{"models", "-o", "json"},
		{"status"},
		{"status", "-o", "json"},
		{"try", "env/400-x", "hi"},
		{"try", "env/200-late", "hi"},
		{"env"},
	} {
		out[strings.Join(args, " ")] = p.command(args...)
	}
	for id := range ids(out) {
		var ex json.RawMessage
		p.manage(t, "/admin/v1/exchanges/"+id, &ex)
		out["why "+id] = string(ex)
	}
	for _, url := range []string{p.adm + "/metrics", p.adm + "/admin/v1/status", p.data + "/v1/models", p.data + "/nosuch"} {
		resp, err := http.Get(url) //nolint:noctx // a test's own server
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		out[url] = string(raw)
	}
	// A config with a literal secret is refused, and the log says so without it.
	bad := read(t, filepath.Join(p.dir, "bad.yaml"))
	if err := os.WriteFile(filepath.Join(p.dir, "tailplane.yaml"), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.logs.await("the changed config is refused"); err != nil {
		t.Fatal(err)
	}
	out["status after"] = p.command("status")
}

// ids are the requests of the answers.
func ids(out map[string]string) map[string]bool {
	found := map[string]bool{}
	for _, said := range out {
		for _, id := range regexp.MustCompile(`req_[0-9a-z]{26}`).FindAllString(said, -1) {
			found[id] = true
		}
	}
	return found
}

// gather reads every file below a directory, as it lies there.
func gather(t *testing.T, dir string, out map[string]string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out[d.Name()] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// post sends a request and returns the whole answer, head and body.
func (p *program) post(t *testing.T, path, key, body string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.data+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body) // an answer may be cut on purpose
	return fmt.Sprint(resp.Status, resp.Header, "\n", string(raw))
}

// end stops the program in order.
func (p *program) end(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.logs.rest()
	p.said.rest()
	_ = p.cmd.Wait() // which closes what was still to be read
}
