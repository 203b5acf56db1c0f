package credential

import (
	"slices"
	"strings"
	"testing"

	"tailplane/internal/secret"
)

// TestOnlyWhatCanBeAskedIsNamed: the ways that no other test goes, and the hosts
// of each by the environment that it stands in. A "!" marks a guarded address.
func TestOnlyWhatCanBeAskedIsNamed(t *testing.T) {
	profile := "[profile sso]\nregion = eu-west-1\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n" +
		"[sso-session corp]\nsso_region = us-east-2\nsso_start_url = https://corp.awsapps.com/start\n" +
		"[profile old]\nsso_region = us-east-2\nsso_start_url = https://corp.awsapps.com/start\nsso_account_id = 1\nsso_role_name = r\n" +
		"[profile over]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = sso\n" +
		"[profile box]\nregion = cn-north-1\nrole_arn = arn:aws-cn:iam::1:role/x\ncredential_source = Ec2InstanceMetadata\n" +
		"[profile program]\ncredential_process = /bin/true\n[profile key]\naws_access_key_id = a\naws_secret_access_key = b\n"
	ref := func(text string) secret.Ref {
		r, err := secret.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	key := func(text string) Config { return Config{Slot: Slot{Key: ref(text)}} }
	aws := func(profile string) Config { return Config{AWS: &AWS{Profile: profile}} }
	federated := write(t, "wif.json", `{"type":"external_account","token_url":"https://sts.googleapis.com/v1/token","service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/x:generateAccessToken",`+
		`"credential_source":{"url":"http://169.254.169.254/latest","region_url":"http://169.254.169.254/region"}}`)
	lent := write(t, "lent.json", `{"type":"impersonated_service_account","service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/x:generateAccessToken","source_credentials":{"type":"authorized_user"}}`)
	cases := []struct {
		name   string
		config Config
		env    []string
		want   string
	}{
		{"a key", key("env:KEY"), nil, ""},
		{"sso", aws("sso"), nil, "portal.sso.us-east-2.amazonaws.com:443 oidc.us-east-2.amazonaws.com:443"},
		{"sso of old", aws("old"), nil, "portal.sso.us-east-2.amazonaws.com:443"},
		{"a role over sso", aws("over"), nil, "portal.sso.us-east-2.amazonaws.com:443 oidc.us-east-2.amazonaws.com:443 sts.eu-west-1.amazonaws.com:443"},
		{"a role of the machine's", aws("box"), nil, "169.254.169.254:80! sts.cn-north-1.amazonaws.com.cn:443"},
		{"a program", aws("program"), nil, ""},
		{"a profile with a key", aws("key"), nil, ""},
		{"a profile of the environment", aws(""), []string{"AWS_PROFILE=sso"}, "portal.sso.us-east-2.amazonaws.com:443 oidc.us-east-2.amazonaws.com:443"},
		{"containers", aws(""), []string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/x"}, "169.254.170.2:80!"},
		{"no metadata", aws(""), []string{"AWS_EC2_METADATA_DISABLED=true"}, ""},
		{"App Service", Config{Azure: &Azure{}}, []string{"IDENTITY_ENDPOINT=http://169.254.129.2:8081/msi/token", "IDENTITY_HEADER=x"}, "169.254.129.2:8081!"},
		{"Cloud Shell", Config{Azure: &Azure{}}, []string{"MSI_ENDPOINT=http://localhost:50342/oauth2/token"}, "localhost:50342!"},
		{"Entra of a country", Config{Azure: &Azure{TokenFile: "/t"}}, []string{"AZURE_AUTHORITY_HOST=https://login.chinacloudapi.cn/"}, "login.chinacloudapi.cn:443"},
		{"a federation over AWS", Config{Google: &Google{Credentials: ref("file:" + federated)}}, nil, "sts.googleapis.com:443 iamcredentials.googleapis.com:443 169.254.169.254:80!"},
		{"an account lent", Config{Google: &Google{Credentials: ref("file:" + lent)}}, nil, "iamcredentials.googleapis.com:443 oauth2.googleapis.com:443"},
		{
			"a Google key in Vault",
			Config{Google: &Google{Credentials: ref("vault:kv/g#json")}},
			[]string{"VAULT_ADDR=https://vault.corp:8200"},
			"vault.corp:8200 oauth2.googleapis.com:443 sts.googleapis.com:443 iamcredentials.googleapis.com:443",
		},
		{"Vault nowhere", key("vault:kv/a#b"), nil, ""},
		{"a vault of Azure's", key("azure-kv:corp/key"), []string{"AZURE_CLIENT_SECRET=x"}, "corp.vault.azure.net:443 login.microsoftonline.com:443"},
		{"a secret header", Config{Headers: map[string]secret.Ref{"x-a": ref("gcp-sm:projects/p/secrets/s")}}, nil, "secretmanager.googleapis.com:443 metadata.google.internal:80!"},
		{"a secret by its ARN", key("aws-sm:arn:aws:secretsmanager:us-west-2:123456789012:secret:x"), []string{"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}, "secretsmanager.us-west-2.amazonaws.com:443"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			newNetwork(t) // empties the environment
			t.Setenv("VAULT_ADDR", "")
			t.Setenv("AWS_CONFIG_FILE", write(t, "config", profile))
			for _, set := range c.env {
				name, value, _ := strings.Cut(set, "=")
				t.Setenv(name, value)
			}
			var got []string
			for _, d := range c.config.Destinations() {
				mark := ""
				if d.Guarded {
					mark = "!"
				}
				got = append(got, d.Address+mark)
			}
			if !slices.Equal(got, strings.Fields(c.want)) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
