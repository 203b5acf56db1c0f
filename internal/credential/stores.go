package credential

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"tailplane/internal/secret"
	"tailplane/internal/sigv4"
)

// Resolvers read remote references: Vault's by its own login, and those of the
// clouds' secret managers by the identity that the environment gives, as their
// own tools would.
func Resolvers(client *http.Client) secret.Resolvers {
	sm := secretsManager{client: client, identity: &cell[session]{roll: rand.Float64, fetch: (&signer{client: client}).chain}}
	g := gcpSecrets{client: client, identity: &cell[secret.Value]{roll: rand.Float64, fetch: google{client: client}.fetch}}
	a := azure{client: client, config: storeIdentity()}
	k := keyVault{client: client, identity: &cell[secret.Value]{roll: rand.Float64, fetch: a.fetch}}
	return secret.Resolvers{
		secret.SchemeVault: secret.NewVault(client).Resolve,
		secret.SchemeAWS:   sm.resolve,
		secret.SchemeGCP:   g.resolve,
		secret.SchemeAzure: k.resolve,
	}
}

// storeIdentity is the Entra identity by which Key Vault is read.
func storeIdentity() Azure {
	a := Azure{Scope: vaultScope}
	if os.Getenv(envSecret) != "" {
		a.ClientSecret, a.Tenant, a.Client = secret.Env(envSecret), os.Getenv(envTenant), os.Getenv(envClient)
	}
	return a
}

// secretsManager is AWS's.
type secretsManager struct {
	client   *http.Client
	identity *cell[session]
}

func (m secretsManager) resolve(ctx context.Context, r secret.Ref) (secret.Value, error) {
	id, err := m.identity.get(ctx, time.Now())
	if err != nil {
		return secret.Value{}, err
	}
	region := id.region
	if arn := strings.Split(r.Place(), ":"); len(arn) > 3 && arn[0] == "arn" {
		region = arn[3]
	}
	if region == "" {
		return secret.Value{}, errors.New("no AWS region is known; set AWS_REGION, or write the whole ARN of the secret")
	}
	base := secretsManagerURL(region)
	body, err := json.Marshal(map[string]string{"SecretId": r.Place()})
	if err != nil {
		return secret.Value{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+"/", strings.NewReader(string(body)))
	if err != nil {
		return secret.Value{}, errors.New("the address of AWS Secrets Manager is not valid")
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	scope := sigv4.Scope{At: time.Now(), Region: region, Service: "secretsmanager"}
	signed := sigv4.Request{Method: req.Method, Path: "/", Payload: sigv4.Hash(body), Header: func(yield func(string, string) bool) {
		for name := range req.Header {
			if !yield(name, req.Header.Get(name)) {
				return
			}
		}
		yield("host", req.URL.Host)
	}}
	for _, f := range sigv4.Sign(signed, id.Credentials, id.keyFor(scope), scope) {
		req.Header.Set(f.Name, f.Value)
	}
	answer, err := do(m.client, req)
	if err != nil {
		return secret.Value{}, refusal("AWS Secrets Manager in "+region, err, id.Secret, id.Token)
	}
	var got struct {
		Text   *string `json:"SecretString"`
		Binary []byte  `json:"SecretBinary"`
	}
	if json.Unmarshal(answer, &got) != nil {
		return secret.Value{}, errors.New("AWS Secrets Manager answered something that is not its API")
	}
	if got.Text != nil {
		return r.Pick([]byte(*got.Text))
	}
	return r.Pick(got.Binary)
}

// secretsManagerURL is the service's address in a region.
func secretsManagerURL(region string) string {
	return cmp.Or(os.Getenv("AWS_ENDPOINT_URL_SECRETS_MANAGER"), "https://secretsmanager."+region+"."+awsDomain(region))
}

// secretManagerURL is the address of Google's.
const secretManagerURL = "https://secretmanager.googleapis.com"

// gcpSecrets is Google's Secret Manager.
type gcpSecrets struct {
	client   *http.Client
	identity *cell[secret.Value]
}

func (g gcpSecrets) resolve(ctx context.Context, r secret.Ref) (secret.Value, error) {
	token, err := g.identity.get(ctx, time.Now())
	if err != nil {
		return secret.Value{}, err
	}
	place := r.Place()
	if !strings.Contains(place, "/versions/") {
		place += "/versions/latest"
	}
	at := secretManagerURL + "/v1/" + place + ":access"
	answer, err := getJSON(ctx, g.client, at, http.Header{"Authorization": {"Bearer " + token.Reveal()}})
	if err != nil {
		return secret.Value{}, refusal("Google Secret Manager", err, token.Reveal())
	}
	var got struct {
		Payload struct {
			Data string `json:"data"`
		} `json:"payload"`
	}
	if json.Unmarshal(answer, &got) != nil {
		return secret.Value{}, errors.New("Google Secret Manager answered something that is not its API")
	}
	raw, err := base64.StdEncoding.DecodeString(got.Payload.Data)
	if err != nil {
		return secret.Value{}, errors.New("Google Secret Manager answered something that is not its API")
	}
	return r.Pick(raw)
}

// keyVaultHost is the host of a reference's vault.
func keyVaultHost(r secret.Ref) string {
	vault, _, _ := strings.Cut(r.Place(), "/")
	if !strings.Contains(vault, ".") {
		vault += ".vault.azure.net"
	}
	return vault
}

const vaultScope = "https://vault.azure.net/.default"

// keyVault is Azure's.
type keyVault struct {
	client   *http.Client
	identity *cell[secret.Value]
}

func (k keyVault) resolve(ctx context.Context, r secret.Ref) (secret.Value, error) {
	token, err := k.identity.get(ctx, time.Now())
	if err != nil {
		return secret.Value{}, err
	}
	_, name, _ := strings.Cut(r.Place(), "/")
	host := keyVaultHost(r)
	answer, err := getJSON(ctx, k.client, fmt.Sprintf("https://%s/secrets/%s?api-version=7.4", host, name),
		http.Header{"Authorization": {"Bearer " + token.Reveal()}})
	if err != nil {
		return secret.Value{}, refusal("Azure Key Vault "+host, err, token.Reveal())
	}
	var got struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(answer, &got) != nil {
		return secret.Value{}, errors.New("Azure Key Vault answered something that is not its API")
	}
	return r.Pick([]byte(got.Value))
}
