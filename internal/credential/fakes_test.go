package credential

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/egress"
	"tailplane/internal/h1"
)

// network is everything that an identity library may ask: one server for every
// host, reached by a client whose dialer goes nowhere else.
type network struct {
	t      *testing.T
	way    *egress.Network
	client *http.Client
	secure *httptest.Server

	mu    sync.Mutex
	hosts map[string]http.HandlerFunc // by host without port
	asked []string                    // "METHOD host/path"
}

// newNetwork starts the servers. The environment is emptied of everything that
// libraries look for, so that the machine's own identity is not found.
func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{t: t, hosts: map[string]http.HandlerFunc{}}
	plain := httptest.NewServer(http.HandlerFunc(n.serve))
	n.secure = httptest.NewTLSServer(http.HandlerFunc(n.serve))
	t.Cleanup(plain.Close)
	t.Cleanup(n.secure.Close)
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		to := plain.Listener.Addr().String()
		if strings.HasSuffix(address, ":443") {
			to = n.secure.Listener.Addr().String()
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", to)
	}
	n.way = egress.New(egress.Options{Connect: dial})
	n.way.Enforce(egress.Config{Allow: []string{"169.254.0.0/16", "169.254.169.254/32", "169.254.170.23/32"}}, nil)
	dialer, err := n.way.Dialer(egress.Way{})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a test's own server
	t.Cleanup(transport.CloseIdleConnections)
	n.client = &http.Client{Transport: transport}
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ROLE_ARN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CA_BUNDLE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST",
		"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "IMDS_ENDPOINT",
		"GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST", "CLOUDSDK_CONFIG",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_CONFIG_FILE", "/nowhere/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
	return n
}

func (n *network) serve(w http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	n.mu.Lock()
	n.asked = append(n.asked, r.Method+" "+host+r.URL.Path)
	f := n.hosts[host]
	n.mu.Unlock()
	if f == nil {
		http.Error(w, "there is no "+host, http.StatusNotFound)
		return
	}
	f(w, r)
}

func (n *network) on(host string, f http.HandlerFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[host] = f
}

// log is what was asked.
func (n *network) log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.asked, "\n")
}

// options are those of a source in this network.
func (n *network) options() Options { return Options{Client: n.client} }

// confine lets out what is named and nothing else, and says which of that
// was asked in the end, which is all of it.
func (n *network) confine(named []egress.Destination) (check func()) {
	n.way.Enforce(egress.Config{Default: "deny"}, named)
	return func() {
		n.t.Helper()
		asked := map[string]bool{}
		for _, c := range n.way.Report().Contacts {
			asked[c.Address] = true
			if c.Refused > 0 {
				n.t.Errorf("%s is not named: %s", c.Address, c.Error)
			}
		}
		for _, d := range named {
			if !asked[d.Address] {
				n.t.Errorf("%s (%s) is named and was not asked", d.Address, d.Why)
			}
		}
	}
}

// authorized is a request that the config's source has finished, by header, in a
// network that lets out what the config names and nothing else.
func (n *network) authorized(c Config, customer string) (map[string]string, error) {
	n.t.Helper()
	defer n.confine(c.Destinations())()
	s, err := New(c, "authorization", n.options(), time.Now())
	if err != nil {
		n.t.Fatal(err)
	}
	return finished(n.t.Context(), s, customer)
}

func finished(ctx context.Context, s *Source, customer string) (map[string]string, error) {
	req := sample()
	if _, err := s.Authorize(ctx, req, Caller{Customer: customer}, time.Now()); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, f := range req.Header {
		out[f.Name] = f.Value
	}
	return out, nil
}

// sample is a request that is complete but for its credential.
func sample() *h1.Request {
	return &h1.Request{
		Method: "POST", Host: "bedrock-runtime.eu-central-1.amazonaws.com", Target: "/model/anthropic.claude-v2%3A1/converse",
		Header: []h1.Field{{Name: "content-type", Value: "application/json"}}, Body: []byte(`{"messages":[]}`),
	}
}
