package credential

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"tailplane/internal/secret"
)

// openAIScope is what Azure OpenAI and Foundry take tokens for.
const openAIScope = "https://cognitiveservices.azure.com/.default"

// azure gives Entra tokens: of an application by its secret, of a workload by
// the token file of its cluster, or of the machine's managed identity. The
// library's credential is made anew for each token: a file that was replaced
// counts, and no older token comes out of a cache of the library's.
type azure struct {
	config Azure
	client *http.Client
	with   secret.Resolvers
}

// The environment that AKS and other hosts give to a workload.
const (
	envTenant = "AZURE_TENANT_ID"
	envClient = "AZURE_CLIENT_ID"
	envSecret = "AZURE_CLIENT_SECRET"
	envToken  = "AZURE_FEDERATED_TOKEN_FILE"
)

// way is how a token is had.
func (a azure) way() string {
	switch {
	case !a.config.ClientSecret.IsZero():
		return "application"
	case a.config.TokenFile != "" || os.Getenv(envToken) != "":
		return "workload"
	}
	return "machine"
}

func (a azure) place() string {
	switch a.way() {
	case "application":
		return "Entra application " + a.config.Client
	case "workload":
		return "Entra workload identity " + cmp.Or(a.config.Client, os.Getenv(envClient))
	}
	return "Azure managed identity"
}

func (a azure) fetch(ctx context.Context) (fetched[secret.Value], error) {
	if a.client == nil {
		return fetched[secret.Value]{}, errNoClient
	}
	hidden := ""
	if ref := a.config.ClientSecret; !ref.IsZero() {
		v, err := ref.Read(ctx, a.with)
		if err != nil {
			return fetched[secret.Value]{}, err
		}
		hidden = v.Reveal()
	}
	with, err := a.credential(hidden)
	if err != nil {
		return fetched[secret.Value]{}, refusal(a.place(), err, hidden)
	}
	ask := policy.TokenRequestOptions{Scopes: []string{cmp.Or(a.config.Scope, openAIScope)}}
	if a.way() == "machine" {
		ask.Claims = "{}" // is not sent; without it the library answers out of a cache of the process, also when a token was refused
	}
	token, err := with.GetToken(ctx, ask)
	if err != nil {
		return fetched[secret.Value]{}, refusal(a.endpoint(), entraWords(err), hidden)
	}
	return fetched[secret.Value]{secret.Plain(token.Token), token.ExpiresOn}, nil
}

func (a azure) credential(clientSecret string) (azcore.TokenCredential, error) {
	options := azcore.ClientOptions{
		Transport: a.client, Retry: policy.RetryOptions{MaxRetries: 1, RetryDelay: 200 * time.Millisecond},
		Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: a.authority()},
	}
	tenant, client := cmp.Or(a.config.Tenant, os.Getenv(envTenant)), cmp.Or(a.config.Client, os.Getenv(envClient))
	switch a.way() {
	case "application":
		// The authority is the operator's word: nobody else is asked about it.
		return azidentity.NewClientSecretCredential(tenant, client, clientSecret, &azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	case "workload":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: true, TenantID: tenant, ClientID: client, TokenFilePath: a.config.TokenFile,
		})
	}
	identity := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
	if a.config.Client != "" {
		identity.ID = azidentity.ClientID(a.config.Client)
	}
	return azidentity.NewManagedIdentityCredential(identity)
}

func (a azure) authority() string {
	return cmp.Or(a.config.Authority, os.Getenv("AZURE_AUTHORITY_HOST"), "https://login.microsoftonline.com/")
}

func (a azure) endpoint() string {
	if a.way() == "machine" {
		return "Azure's managed identity endpoint"
	}
	return "Entra at " + a.authority()
}

// entraWords are the endpoint's own words of an error of the library's, which
// would print a whole answer.
func entraWords(err error) error {
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || failed.RawResponse == nil {
		return err
	}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	body, _ := runtime.Payload(failed.RawResponse)
	if json.Unmarshal(body, &said) != nil || said.Error == "" {
		return fmt.Errorf("HTTP %d", failed.RawResponse.StatusCode)
	}
	return fmt.Errorf("HTTP %d %s: %s", failed.RawResponse.StatusCode, said.Error, said.Description)
}
