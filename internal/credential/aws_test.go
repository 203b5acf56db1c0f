package credential

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/secret"
	"tailplane/internal/sigv4"
)

const role = "arn:aws:iam::123456789012:role/tailplane"

// fakeSTS gives credentials named after the customer tag, or after the web
// identity token.
type fakeSTS struct {
	mu       sync.Mutex
	asked    []string // Action customer external id
	tagging  bool     // the caller may tag
	broken   bool
	lifetime time.Duration
}

func (f *fakeSTS) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	f.mu.Lock()
	defer f.mu.Unlock()
	customer := r.Form.Get("Tags.member.1.Value")
	f.asked = append(f.asked, strings.TrimSpace(strings.Join([]string{r.Form.Get("Action"), r.Form.Get("Tags.member.1.Key"), customer, r.Form.Get("ExternalId"), r.Form.Get("RoleSessionName")}, " ")))
	refuse := func(code, words string) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, words)
	}
	switch {
	case f.broken:
		refuse("AccessDenied", "User: arn:aws:iam::1:user/x is not authorized; you sent "+r.Header.Get("X-Amz-Security-Token")+r.Form.Get("WebIdentityToken"))
		return
	case customer != "" && !f.tagging:
		refuse("AccessDenied", "User is not authorized to perform: sts:TagSession on resource: "+role)
		return
	}
	name := customer
	if token := r.Form.Get("WebIdentityToken"); token != "" {
		name = "WEB" + token
	}
	life := f.lifetime
	if life == 0 {
		life = time.Hour
	}
	action := r.Form.Get("Action")
	fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>ASIA%[2]s</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>`+
		`<SessionToken>token-of-%[2]s</SessionToken><Expiration>%[3]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		action, name, time.Now().Add(life).UTC().Format(time.RFC3339))
}

// base is a config with a fixed key and a role.
func base(t *testing.T) *AWS {
	t.Setenv("TEST_AWS_ID", "AKIDBASE")
	t.Setenv("TEST_AWS_SECRET", "base-secret-0123456789")
	return &AWS{Region: "eu-central-1", AccessKey: secret.Env("TEST_AWS_ID"), SecretKey: secret.Env("TEST_AWS_SECRET")}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEveryWayOfAWSSignsRequests: the finished request is verified with the
// secret that the way gives.
func TestEveryWayOfAWSSignsRequests(t *testing.T) {
	sts := &fakeSTS{tagging: true}
	ways := []struct {
		name, id, token string
		secret          string
		config          func(t *testing.T, n *network) *AWS
	}{
		{"fixed", "AKIDBASE", "", "base-secret-0123456789", func(t *testing.T, _ *network) *AWS { return base(t) }},
		{"environment", "AKIDENV", "env-token", "env-secret", func(t *testing.T, _ *network) *AWS {
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
			t.Setenv("AWS_SESSION_TOKEN", "env-token")
			return &AWS{}
		}},
		{"profile", "AKIDPROFILE", "", "profile-secret", func(t *testing.T, _ *network) *AWS {
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", write(t, "credentials", "[team]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = profile-secret\n"))
			return &AWS{Profile: "team"}
		}},
		{"web identity", "ASIAWEBjwt", "token-of-WEBjwt", "secret", func(t *testing.T, _ *network) *AWS {
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write(t, "token", "jwt"))
			t.Setenv("AWS_ROLE_ARN", role)
			t.Setenv("AWS_REGION", "eu-central-1")
			return &AWS{}
		}},
		{"pod identity", "ASIAPOD", "pod-token", "pod-secret", func(t *testing.T, n *network) *AWS {
			n.on("169.254.170.23", func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "pod-jwt" {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				fmt.Fprintf(w, `{"AccessKeyId":"ASIAPOD","SecretAccessKey":"pod-secret","Token":"pod-token","Expiration":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
			})
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", write(t, "pod", "pod-jwt"))
			return &AWS{}
		}},
		{"instance metadata", "ASIAIMDS", "imds-token", "imds-secret", func(t *testing.T, n *network) *AWS {
			n.on("169.254.169.254", metadata)
			return &AWS{}
		}},
		{"instance metadata elsewhere", "ASIAIMDS", "imds-token", "imds-secret", func(t *testing.T, n *network) *AWS {
			n.on("imds.internal", metadata)
			return &AWS{IMDSURL: "http://imds.internal"}
		}},
		{"assumed role", "ASIA", "token-of-", "secret", func(t *testing.T, _ *network) *AWS {
			c := base(t)
			c.RoleARN, c.ExternalID = role, "ext-1"
			return c
		}},
		{"assumed role at a private endpoint", "ASIA", "token-of-", "secret", func(t *testing.T, n *network) *AWS {
			n.on("sts.internal", sts.serve)
			n.on("sts.eu-central-1.amazonaws.com", nil)
			c := base(t)
			c.RoleARN, c.STSURL = role, "https://sts.internal"
			return c
		}},
		{"web identity with CAs of the environment", "ASIAWEBjwt", "token-of-WEBjwt", "secret", func(t *testing.T, n *network) *AWS {
			n.client.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = false
			n.on("example.com", sts.serve) // the name in the test server's certificate
			pem := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.secure.Certificate().Raw})
			t.Setenv("AWS_CA_BUNDLE", write(t, "ca.pem", string(pem)))
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write(t, "token", "jwt"))
			t.Setenv("AWS_ROLE_ARN", role)
			return &AWS{Region: "eu-central-1", STSURL: "https://example.com"}
		}},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			n := newNetwork(t)
			n.on("sts.eu-central-1.amazonaws.com", sts.serve)
			t.Setenv("AWS_DEFAULTS_MODE", "standard") // whatever the environment says, the dialer stays ours
			header, err := n.authorized(Config{AWS: way.config(t, n)}, "")
			if err != nil {
				t.Fatalf("%v\nasked: %s", err, n.log())
			}
			if header["x-amz-security-token"] != way.token {
				t.Errorf("token %q, want %q", header["x-amz-security-token"], way.token)
			}
			verify(t, header, way.id, way.secret)
		})
	}
}

// verify checks the signature as Bedrock would.
func verify(t *testing.T, header map[string]string, id, secret string) {
	t.Helper()
	req := sample()
	r := sigv4.Request{Method: req.Method, Path: req.Target, Payload: sigv4.Hash(req.Body), Header: func(yield func(string, string) bool) {
		if !yield("host", req.Host) {
			return
		}
		for name, value := range header {
			if !yield(name, value) {
				return
			}
		}
	}}
	claim, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if claim.ID != id || claim.Scope.Region != "eu-central-1" || claim.Scope.Service != "bedrock" {
		t.Errorf("%s, %s; want %s", claim.ID, claim.Scope, id)
	}
	if err := claim.Verify(r, sigv4.Derive(secret, claim.Scope), time.Now()); err != nil {
		t.Error(err)
	}
}

func metadata(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut:
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = w.Write([]byte("imds-session"))
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "imds-session":
		w.WriteHeader(http.StatusUnauthorized)
	case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
		_, _ = w.Write([]byte("node-role"))
	case strings.HasSuffix(r.URL.Path, "/security-credentials/node-role"):
		fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"ASIAIMDS","SecretAccessKey":"imds-secret","Token":"imds-token","Expiration":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestSessionsAreTaggedWithTheCustomer, one for each, no more than the bound;
// what cannot be tagged is not sent.
func TestSessionsAreTaggedWithTheCustomer(t *testing.T) {
	n := newNetwork(t)
	sts := &fakeSTS{tagging: true}
	n.on("sts.eu-central-1.amazonaws.com", sts.serve)
	c := base(t)
	c.RoleARN, c.TagCustomer, c.ExternalID, c.Sessions = role, true, "ext-1", 2
	s, err := New(Config{AWS: c}, "", n.options(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, customer := range []string{"acme", "globex", "acme", "initech", "acme", "globex"} {
		header, err := finished(t.Context(), s, customer)
		if err != nil {
			t.Fatal(err)
		}
		if header["x-amz-security-token"] != "token-of-"+customer {
			t.Errorf("%s pays with %s", customer, header["x-amz-security-token"])
		}
		verify(t, header, "ASIA"+customer, "secret")
	}
	want := "AssumeRole customer acme ext-1 tailplane\nAssumeRole customer globex ext-1 tailplane\nAssumeRole customer initech ext-1 tailplane\nAssumeRole customer globex ext-1 tailplane"
	if got := strings.Join(sts.asked, "\n"); got != want {
		t.Errorf("asked:\n%s\nwant\n%s", got, want)
	}
	for customer, words := range map[string]string{"": "names no customer", "a&b": "cannot be an AWS session tag", "caf\xe9": "cannot be an AWS session tag", strings.Repeat("x", 257): "cannot be an AWS session tag"} {
		if _, err := finished(t.Context(), s, customer); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("customer %.10q: %v", customer, err)
		}
	}
	if err := taggable(strings.Repeat("Ü", 250) + " 7-@+="); err != nil {
		t.Errorf("256 characters that may be said: %v", err)
	}
	sts.tagging = false
	if _, err := finished(t.Context(), s, "hooli"); err == nil || !strings.Contains(err.Error(), "sts:TagSession") || !strings.Contains(err.Error(), role) {
		t.Errorf("a role that may not tag: %v", err)
	}
	if strings.Contains(strings.Join(sts.asked, "\n"), "AssumeRole  ") {
		t.Error("an untagged session was asked for")
	}
}

// TestARefusedSessionIsRenewed, that of its customer and no other.
func TestARefusedSessionIsRenewed(t *testing.T) {
	n := newNetwork(t)
	sts := &fakeSTS{tagging: true, lifetime: 12 * time.Hour}
	n.on("sts.eu-central-1.amazonaws.com", sts.serve)
	c := base(t)
	c.RoleARN, c.TagCustomer = role, true
	s, err := New(Config{AWS: c}, "", n.options(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ask := func(customer string, now time.Time) Use {
		use, err := s.Authorize(t.Context(), sample(), Caller{Customer: customer}, now)
		if err != nil {
			t.Fatal(err)
		}
		return use
	}
	_, use := ask("globex", now), ask("acme", now)
	later := now.Add(2 * recheck)
	s.Report(use, badKey, later)
	ask("globex", later)
	ask("acme", later)
	for !sts.asks(3) { // the fetch is in the background
		if t.Context().Err() != nil || time.Since(now) > 10*time.Second {
			t.Fatal("the session is not renewed")
		}
		runtime.Gosched()
	}
	if got := strings.Join(sts.asked, "\n"); strings.Count(got, "acme") != 2 || strings.Count(got, "globex") != 1 {
		t.Errorf("asked:\n%s", got)
	}
}

// asks reports whether there were so many questions.
func (f *fakeSTS) asks(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked) >= n
}

// TestWhatSTSSaysHoldsNoSecret, although it repeats what it was sent.
func TestWhatSTSSaysHoldsNoSecret(t *testing.T) {
	n := newNetwork(t)
	n.on("sts.eu-central-1.amazonaws.com", (&fakeSTS{broken: true}).serve)
	c := base(t)
	t.Setenv("TEST_AWS_TOKEN", "canary-session-token")
	c.RoleARN, c.SessionToken = role, secret.Env("TEST_AWS_TOKEN")
	_, err := n.authorized(Config{AWS: c}, "")
	if err == nil || !strings.Contains(err.Error(), "AWS STS") || !strings.Contains(err.Error(), "AccessDenied") || !strings.Contains(err.Error(), "is not authorized") {
		t.Fatal(err)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
	if _, err := n.authorized(Config{AWS: &AWS{}}, ""); err == nil || !strings.Contains(err.Error(), "chain") {
		t.Errorf("no identity at all: %v", err)
	}
}

func TestRegionsStandInTheNamesOfHosts(t *testing.T) {
	for host, want := range map[string]string{
		"bedrock-runtime.eu-central-1.amazonaws.com":             "eu-central-1",
		"bedrock-runtime-fips.us-gov-west-1.amazonaws.com":       "us-gov-west-1",
		"bedrock-runtime.cn-north-1.amazonaws.com.cn":            "cn-north-1",
		"vpce-0a-b.bedrock-runtime.eu-west-3.vpce.amazonaws.com": "eu-west-3",
		"bedrock-runtime.us-east-1.api.aws":                      "us-east-1",
		"bedrock.internal:8443":                                  "",
	} {
		if got := regionOf(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}
