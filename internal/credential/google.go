package credential

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	oauthgoogle "golang.org/x/oauth2/google"

	"tailplane/internal/secret"
)

const cloudPlatform = "https://www.googleapis.com/auth/cloud-platform"

// google gives access tokens: of a JSON key or a federation config by reference,
// else the application default ones in Google's order (the file that
// GOOGLE_APPLICATION_CREDENTIALS names, gcloud's file, the metadata server). The
// metadata server is asked here and not by Google's library, which would take
// connections of its own.
type google struct {
	config Google
	client *http.Client
	with   secret.Resolvers
}

func (g google) place() string {
	if !g.config.Credentials.IsZero() {
		return g.config.Credentials.String()
	}
	return "application default credentials"
}

func (g google) fetch(ctx context.Context) (fetched[secret.Value], error) {
	if g.client == nil {
		return fetched[secret.Value]{}, errNoClient
	}
	document, err := g.document(ctx)
	if err != nil {
		return fetched[secret.Value]{}, err
	}
	if document == nil {
		return g.metadata(ctx)
	}
	return g.fromJSON(ctx, document)
}

// document is the JSON that says who we are; nil for the metadata server.
func (g google) document(ctx context.Context) ([]byte, error) {
	if ref := g.config.Credentials; !ref.IsZero() {
		v, err := ref.Read(ctx, g.with)
		return []byte(v.Reveal()), err
	}
	if named := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"); named != "" {
		return os.ReadFile(named)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(cmp.Or(os.Getenv("CLOUDSDK_CONFIG"), filepath.Join(home, ".config", "gcloud")), "application_default_credentials.json"))
	if err != nil {
		return nil, nil
	}
	return text, nil
}

// identities are the kinds of JSON that are taken.
var identities = []oauthgoogle.CredentialsType{
	oauthgoogle.ServiceAccount, oauthgoogle.AuthorizedUser, oauthgoogle.ExternalAccount,
	oauthgoogle.ExternalAccountAuthorizedUser, oauthgoogle.ImpersonatedServiceAccount,
}

// fromJSON has a library of Google's exchange the document for a token. It is
// made anew each time, so that a file that was replaced counts and no older
// token comes out of a cache.
func (g google) fromJSON(ctx context.Context, document []byte) (fetched[secret.Value], error) {
	var about struct {
		Type     string
		TokenURI string `json:"token_uri"`
		TokenURL string `json:"token_url"`
		Key      string `json:"private_key"`
		Refresh  string `json:"refresh_token"`
		Secret   string `json:"client_secret"`
	}
	if json.Unmarshal(document, &about) != nil {
		return fetched[secret.Value]{}, fmt.Errorf("%s is not the JSON of a Google credential", g.place())
	}
	kind := oauthgoogle.CredentialsType(about.Type)
	if !slices.Contains(identities, kind) {
		return fetched[secret.Value]{}, fmt.Errorf("%s is of a type that is not known; use the JSON of a service account, of a user or of a workload identity federation", g.place())
	}
	bounded := *g.client
	bounded.Timeout = fetchTime // the library's requests know no context's end
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &bounded)
	endpoint := "Google's token endpoint " + cmp.Or(about.TokenURI, about.TokenURL)
	hidden := []string{about.Key, about.Refresh, about.Secret}
	creds, err := oauthgoogle.CredentialsFromJSONWithType(ctx, document, kind, cmp.Or(g.config.Scope, cloudPlatform))
	if err != nil {
		return fetched[secret.Value]{}, refusal(g.place(), err, hidden...)
	}
	token, err := creds.TokenSource.Token()
	if err != nil {
		if said, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
			err = fmt.Errorf("HTTP %d %s %s", said.Response.StatusCode, said.ErrorCode, cmp.Or(said.ErrorDescription, string(said.Body)))
		}
		return fetched[secret.Value]{}, refusal(endpoint, err, hidden...)
	}
	return fetched[secret.Value]{secret.Plain(token.AccessToken), token.Expiry}, nil
}

// metadata asks the server that every machine and workload of Google's has.
func (g google) metadata(ctx context.Context) (fetched[secret.Value], error) {
	base := g.metadataURL()
	at := strings.TrimSuffix(base, "/") + "/computeMetadata/v1/instance/service-accounts/default/token?scopes=" + url.QueryEscape(cmp.Or(g.config.Scope, cloudPlatform))
	endpoint := "Google's metadata server " + base
	body, err := getJSON(ctx, g.client, at, http.Header{"Metadata-Flavor": {"Google"}})
	if err != nil {
		return fetched[secret.Value]{}, refusal(endpoint, err)
	}
	var got struct {
		Token string `json:"access_token"`
		Life  int64  `json:"expires_in"`
	}
	if json.Unmarshal(body, &got) != nil || got.Token == "" || got.Life <= 0 {
		return fetched[secret.Value]{}, fmt.Errorf("%s gave no token but something else", endpoint)
	}
	return fetched[secret.Value]{secret.Plain(got.Token), time.Now().Add(time.Duration(got.Life) * time.Second)}, nil
}

func (g google) metadataURL() string {
	return cmp.Or(g.config.MetadataURL, "http://"+cmp.Or(os.Getenv("GCE_METADATA_HOST"), "metadata.google.internal"))
}

// mostAnswer bounds what is read of an identity endpoint or a secret store.
const mostAnswer = 1 << 20

// getJSON is a GET whose answer is 200; any other is an error with its words.
func getJSON(ctx context.Context, client *http.Client, at string, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, errors.New("its address is not valid")
	}
	req.Header = header
	return do(client, req)
}

func do(client *http.Client, req *http.Request) ([]byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d %s", resp.StatusCode, body)
	}
	return body, nil
}
