package credential

import (
	"cmp"
	"context"
	"os"
	"strings"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"tailplane/internal/egress"
)

// destinations are those of an AWS identity, by the order of the SDK's own chain
// (resolveCredentialChain of its package config).
func (a *AWS) destinations() []egress.Destination {
	var out []egress.Destination
	if a.SecretKey.IsZero() {
		out = a.chainHosts()
	}
	if a.RoleARN != "" {
		region := a.region()
		if !a.SecretKey.IsZero() {
			region = a.Region
		}
		out = append(out, a.sts(cmp.Or(region, "us-east-1"))...)
	}
	return out
}

// surroundings are the environment and the profile that the chain would read.
func (a *AWS) surroundings() (awsconfig.EnvConfig, *awsconfig.SharedConfig) {
	env, err := awsconfig.NewEnvConfig()
	if err != nil {
		env = awsconfig.EnvConfig{} // what is wrong is told where the credential is had
	}
	name := cmp.Or(a.Profile, env.SharedConfigProfile, "default")
	shared, err := awsconfig.LoadSharedConfigProfile(context.Background(), name, func(o *awsconfig.LoadSharedConfigOptions) {
		if env.SharedConfigFile != "" {
			o.ConfigFiles = []string{env.SharedConfigFile}
		}
		if env.SharedCredentialsFile != "" {
			o.CredentialsFiles = []string{env.SharedCredentialsFile}
		}
	})
	if err != nil {
		return env, &awsconfig.SharedConfig{}
	}
	return env, &shared
}

// region is the one that the identity works in; empty when nobody says.
func (a *AWS) region() string {
	env, shared := a.surroundings()
	return cmp.Or(a.Region, env.Region, shared.Region)
}

func (a *AWS) chainHosts() []egress.Destination {
	env, shared := a.surroundings()
	region := cmp.Or(a.Region, env.Region, shared.Region)
	switch {
	case a.Profile == "" && env.Credentials.HasKeys():
		return nil
	case a.Profile == "" && env.WebIdentityTokenFilePath != "":
		return a.sts(region)
	}
	return a.profileHosts(&env, shared, region, 0)
}

// profileHosts are those of a profile and of the one that it builds on.
func (a *AWS) profileHosts(env *awsconfig.EnvConfig, p *awsconfig.SharedConfig, region string, depth int) []egress.Destination {
	var out []egress.Destination
	switch {
	case p.Source != nil && depth < 8:
		out = a.profileHosts(env, p.Source, region, depth+1)
	case p.Credentials.HasKeys(), p.CredentialSource == "Environment":
	case p.CredentialSource == "Ec2InstanceMetadata":
		out = a.metadata()
	case p.WebIdentityTokenFile != "":
		return a.sts(region)
	case p.SSOSession != nil:
		at := p.SSOSession.SSORegion
		out = append(host("https://portal.sso."+at+"."+awsDomain(at), "AWS SSO"), host("https://oidc."+at+"."+awsDomain(at), "AWS SSO")...)
	case p.SSOStartURL != "":
		out = host("https://portal.sso."+p.SSORegion+"."+awsDomain(p.SSORegion), "AWS SSO")
	case p.LoginSession != "":
		out = host("https://"+region+".signin.aws.amazon.com", "AWS sign-in")
	case p.CredentialProcess != "": // a program of the operator's, with a network of its own
	case env.ContainerCredentialsRelativePath != "":
		out = beside("http://169.254.170.2", "AWS container credentials")
	case env.ContainerCredentialsEndpoint != "":
		out = beside(env.ContainerCredentialsEndpoint, "AWS pod identity")
	case p.CredentialSource == "":
		out = a.metadata()
	}
	if p.RoleARN != "" {
		out = append(out, a.sts(region)...)
	}
	return out
}

// metadata is the instance's; see signer.imds.
func (a *AWS) metadata() []egress.Destination {
	if strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		return nil
	}
	return beside(cmp.Or(a.IMDSURL, os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"), "http://169.254.169.254"), "AWS instance metadata")
}

func (a *AWS) sts(region string) []egress.Destination {
	const why = "AWS STS"
	switch {
	case a.STSURL != "":
		return host(a.STSURL, why)
	case region == "":
		return nil // the SDK refuses it, too
	}
	return host("https://sts."+region+"."+awsDomain(region), why)
}

// awsDomain is the domain of a region's partition.
func awsDomain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
