package credential

import (
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"tailplane/internal/egress"
	"tailplane/internal/secret"
)

// Which hosts a credential is had from: what a policy that denies by default has
// to let out, and what stands in a firewall ticket. It is worked out from the
// config, the environment and the files that the clouds' libraries read, by their
// own rules, so that only those are named that can really be asked. Nothing is
// contacted.

// Destinations are the hosts that the credential is fetched from, each with what
// it is. Those that lie at a guarded address by their nature say so.
func (c Config) Destinations() []egress.Destination {
	var out []egress.Destination
	add := func(list []egress.Destination) {
		for _, d := range list {
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	refs := c.Refs()
	for _, path := range sortedKeys(refs) {
		add(storeOf(refs[path]))
	}
	switch {
	case c.AWS != nil:
		add(c.AWS.destinations())
	case c.Azure != nil:
		add(c.Azure.destinations())
	case c.Google != nil:
		add(c.Google.destinations())
	}
	return out
}

func sortedKeys(m map[string]secret.Ref) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// host is the destination of an address; none of what is no address.
func host(address, why string) []egress.Destination { return place(address, why, false) }

// beside is the destination of an address that lies at this machine or at the
// cloud's metadata services.
func beside(address, why string) []egress.Destination { return place(address, why, true) }

func place(address, why string, guarded bool) []egress.Destination {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	if port == "" {
		return nil
	}
	return []egress.Destination{{Address: net.JoinHostPort(u.Hostname(), port), Why: why, Guarded: guarded}}
}

// storeOf are the hosts of a secret store, and those of the identity by which it
// is read.
func storeOf(r secret.Ref) []egress.Destination {
	switch r.Scheme() {
	case secret.SchemeVault:
		return host(os.Getenv("VAULT_ADDR"), "Vault")
	case secret.SchemeAWS:
		identity := AWS{}
		region := identity.region()
		if arn := strings.Split(r.Place(), ":"); len(arn) > 3 && arn[0] == "arn" {
			region = arn[3]
		}
		if region == "" {
			return identity.destinations()
		}
		return append(host(secretsManagerURL(region), "AWS Secrets Manager"), identity.destinations()...)
	case secret.SchemeGCP:
		return append(host(secretManagerURL, "Google Secret Manager"), (&Google{}).destinations()...)
	case secret.SchemeAzure:
		identity := storeIdentity()
		return append(host("https://"+keyVaultHost(r), "Azure Key Vault"), identity.destinations()...)
	}
	return nil
}

// destinations are those of an Entra identity, by the order in which the library
// looks for the machine's.
func (a *Azure) destinations() []egress.Destination {
	with := azure{config: *a}
	if with.way() != "machine" {
		return host(with.authority(), "Entra")
	}
	const why = "Azure managed identity"
	identity, msi := os.Getenv("IDENTITY_ENDPOINT"), os.Getenv("MSI_ENDPOINT")
	_, arc := os.Stat("/opt/azcmagent/bin/himds")
	switch {
	case identity != "" && (os.Getenv("IDENTITY_HEADER") != "" || msi == "" && os.Getenv("IMDS_ENDPOINT") != ""):
		return beside(identity, why)
	case msi != "":
		return beside(msi, why)
	case arc == nil:
		return beside(cmp.Or(identity, "http://127.0.0.1:40342"), why)
	}
	return beside("http://169.254.169.254", why)
}

// destinations are those of a Google identity: the hosts that its JSON names, or
// the metadata server.
func (g *Google) destinations() []egress.Destination {
	with := google{config: *g}
	if g.Credentials.Remote() {
		// What the document says is known when it is read: it may be of any kind.
		return slices.Concat(host(googleTokenHost, "Google tokens"), host("https://sts.googleapis.com", "Google STS"), host("https://iamcredentials.googleapis.com", "Google IAM credentials"))
	}
	document, err := with.document(context.Background())
	if err != nil {
		return nil // it is told where the credential is read
	}
	if document == nil {
		return beside(with.metadataURL(), "Google metadata server")
	}
	return documentHosts(document, 0)
}

const googleTokenHost = "https://oauth2.googleapis.com"

// documentHosts are the hosts that a Google credential's JSON leads to. An
// impersonation holds another document.
func documentHosts(document []byte, depth int) []egress.Destination {
	var d struct {
		Type     string `json:"type"`
		TokenURI string `json:"token_uri"`
		TokenURL string `json:"token_url"`
		As       string `json:"service_account_impersonation_url"`
		Source   struct {
			URL       string `json:"url"`
			RegionURL string `json:"region_url"`
			IMDSv2    string `json:"imdsv2_session_token_url"`
		} `json:"credential_source"`
		Behind json.RawMessage `json:"source_credentials"`
	}
	if json.Unmarshal(document, &d) != nil || depth > 4 {
		return nil
	}
	var out []egress.Destination
	switch d.Type {
	case "service_account", "authorized_user":
		out = host(cmp.Or(d.TokenURI, googleTokenHost), "Google tokens")
	case "external_account", "external_account_authorized_user":
		out = host(cmp.Or(d.TokenURL, "https://sts.googleapis.com"), "Google STS")
	}
	out = append(out, host(d.As, "Google IAM credentials")...)
	for _, at := range []string{d.Source.URL, d.Source.RegionURL, d.Source.IMDSv2} {
		const why = "source of the federated identity"
		if strings.HasPrefix(at, "http://") { // a cloud's metadata; others are services in the network
			out = append(out, beside(at, why)...)
		} else {
			out = append(out, host(at, why)...)
		}
	}
	if len(d.Behind) > 0 {
		out = append(out, documentHosts(d.Behind, depth+1)...)
	}
	return out
}
