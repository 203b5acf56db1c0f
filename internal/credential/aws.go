package credential

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/logging"

	"tailplane/internal/h1"
	"tailplane/internal/secret"
	"tailplane/internal/sigv4"
)

// session is an AWS identity in use, with the key that was derived of it last.
type session struct {
	sigv4.Credentials
	region string
	client sts.HTTPClient // with the CAs that the environment names
	key    *atomic.Pointer[derivedKey]
}

// derivedKey holds for a day, region and service.
type derivedKey struct {
	scope string
	key   sigv4.Key
}

// keyFor is the derived key of a scope; it changes once a day.
func (s session) keyFor(scope sigv4.Scope) sigv4.Key {
	text := scope.String()
	if have := s.key.Load(); have != nil && have.scope == text {
		return have.key
	}
	made := &derivedKey{text, sigv4.Derive(s.Secret, scope)}
	s.key.Store(made)
	return made.key
}

// signer signs requests with an AWS identity.
type signer struct {
	config   AWS
	client   *http.Client
	with     secret.Resolvers
	base     *cell[session] // the chain's own identity, or the role without tags
	sessions *sessions      // of a role by customer; nil without tags
}

func newAWS(c AWS, b *builder) *slot {
	s := &signer{config: c, client: b.options.Client, with: b.options.Resolvers}
	told := b.source.noticed("aws")
	notice := func(got *session, err error) {
		if err != nil {
			told(nil, err)
			return
		}
		told(new(secret.Plain(got.ID)), nil)
	}
	roll := b.source.roll
	chain := &cell[session]{fetch: s.chain, roll: roll, notice: notice}
	s.base = chain
	switch {
	case c.TagCustomer:
		s.sessions = newSessions(cmp.Or(c.Sessions, usualSessions), func(customer string) *cell[session] {
			return &cell[session]{fetch: s.assume(chain, customer), roll: roll, notice: notice}
		})
	case c.RoleARN != "":
		s.base = &cell[session]{fetch: s.assume(chain, ""), roll: roll, notice: notice}
	}
	return &slot{name: "aws", place: s.place(), finish: s.finish, renew: s.renew, status: s.base.status, hint: s.hint, secrets: s.secrets}
}

func (s *signer) place() string {
	switch {
	case s.config.RoleARN != "":
		return s.config.RoleARN
	case s.config.Profile != "":
		return "AWS profile " + s.config.Profile
	case !s.config.AccessKey.IsZero():
		return s.config.AccessKey.String()
	}
	return "AWS's default chain"
}

// finish signs the request as it stands.
func (s *signer) finish(ctx context.Context, req *h1.Request, caller Caller, now time.Time) (secret.Value, error) {
	from := s.base
	if s.sessions != nil {
		if err := taggable(caller.Customer); err != nil {
			return secret.Value{}, err
		}
		from = s.sessions.of(caller.Customer)
	}
	id, err := from.get(ctx, now)
	if err != nil {
		return secret.Value{}, err
	}
	scope := sigv4.Scope{At: now, Region: cmp.Or(s.config.Region, regionOf(req.Host), id.region), Service: cmp.Or(s.config.Service, "bedrock")}
	if scope.Region == "" {
		return secret.Value{}, errors.New("no AWS region is known to sign for; set auth.aws.region")
	}
	path, query, _ := strings.Cut(req.Target, "?")
	signed := sigv4.Request{
		Method: req.Method, Path: path, Query: query, Payload: sigv4.Hash(req.Front, req.Body, req.Back),
		Header: func(yield func(string, string) bool) {
			if !yield("host", req.Host) {
				return
			}
			for _, f := range req.Header {
				if !yield(f.Name, f.Value) {
					return
				}
			}
		},
	}
	for _, f := range sigv4.Sign(signed, id.Credentials, id.keyFor(scope), scope) {
		req.Header = append(req.Header, h1.Field(f))
	}
	return secret.Plain(id.ID), nil
}

// regionOf is the region that an AWS host has in its name; empty when it has
// none, as a private endpoint may.
func regionOf(host string) string {
	if m := awsHost.FindStringSubmatch(host); m != nil {
		return m[1]
	}
	return ""
}

var awsHost = regexp.MustCompile(`\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:vpce\.)?(?:amazonaws\.com|api\.aws)`)

// tagValue reports what STS takes as the value of a session tag: 1 to 256
// letters, digits, spaces and a few marks, of any script. As a regular
// expression it is compiled to 256 copies of three Unicode tables, 10 MB.
func tagValue(s string) bool {
	n := utf8.RuneCountInString(s)
	return n >= 1 && n <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
	})
}

// taggable reports a customer that cannot be a tag. The request is not made
// then: it would be paid by nobody.
func taggable(customer string) error {
	switch {
	case customer == "":
		return errors.New("the caller's key names no customer, and this target's AWS sessions are tagged with one; give the key a customer, or switch auth.aws.tag_customer off")
	case !tagValue(customer):
		return errors.New("the name of the customer cannot be an AWS session tag; use letters, digits, spaces and any of _.:/=+-@, at most 256")
	}
	return nil
}

// chain resolves the identity anew: a file that was replaced counts, and the
// SDK's own cache holds nothing back.
func (s *signer) chain(ctx context.Context) (fetched[session], error) {
	if s.client == nil {
		return fetched[session]{}, errNoClient
	}
	if !s.config.SecretKey.IsZero() {
		return s.fixed(ctx)
	}
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithLogger(logging.Nop{}),
		// The other modes replace the dialer of a client by one of their own.
		awsconfig.WithDefaultsMode(aws.DefaultsModeLegacy),
		awsconfig.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = s.imds() }),
		awsconfig.WithHTTPClient(buildable(s.client)),
		awsconfig.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = s.client }),
	}
	if s.config.Region != "" {
		options = append(options, awsconfig.WithRegion(s.config.Region))
	}
	if s.config.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(s.config.Profile))
	}
	if s.config.STSURL != "" {
		options = append(options, awsconfig.WithBaseEndpoint(s.config.STSURL))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return fetched[session]{}, refusal("AWS's credential chain", err)
	}
	got, err := loaded.Credentials.Retrieve(ctx)
	if err != nil {
		return fetched[session]{}, refusal("AWS's credential chain (environment, web identity, profile, container, instance metadata)", awsWords(err))
	}
	f := found(got, loaded.Region)
	f.value.client = loaded.HTTPClient
	return f, nil
}

// imds asks the instance metadata by our client: the one that the SDK would make
// of it dials by itself.
func (s *signer) imds() *imds.Client {
	o := imds.Options{HTTPClient: s.client, Endpoint: cmp.Or(s.config.IMDSURL, os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")), Logger: logging.Nop{}}
	if strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		o.ClientEnableState = imds.ClientDisabled
	}
	return imds.New(o)
}

// buildable is the client in the only form to which the SDK can add the CAs of
// AWS_CA_BUNDLE, where the client's transport allows that.
func buildable(client *http.Client) awsconfig.HTTPClient {
	base, ok := client.Transport.(*http.Transport)
	if !ok {
		return client
	}
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		own := base.Clone()
		t.DialContext, t.DialTLSContext, t.Proxy = own.DialContext, own.DialTLSContext, own.Proxy
		t.TLSClientConfig, t.ProxyConnectHeader = own.TLSClientConfig, own.ProxyConnectHeader
		t.IdleConnTimeout = time.Second // it is made for one identity and not used again
	})
}

// fixed is the key of the config.
func (s *signer) fixed(ctx context.Context) (fetched[session], error) {
	var got aws.Credentials
	for _, part := range []struct {
		ref secret.Ref
		to  *string
	}{{s.config.AccessKey, &got.AccessKeyID}, {s.config.SecretKey, &got.SecretAccessKey}, {s.config.SessionToken, &got.SessionToken}} {
		if part.ref.IsZero() {
			continue
		}
		v, err := part.ref.Read(ctx, s.with)
		if err != nil {
			return fetched[session]{}, err
		}
		*part.to = v.Reveal()
	}
	f := found(got, "")
	f.value.client = s.client
	return f, nil
}

func found(got aws.Credentials, region string) fetched[session] {
	f := fetched[session]{value: session{
		Credentials: sigv4.Credentials{ID: got.AccessKeyID, Secret: got.SecretAccessKey, Token: got.SessionToken},
		region:      region, key: &atomic.Pointer[derivedKey]{},
	}}
	if got.CanExpire {
		f.expires = got.Expires
	}
	return f
}

// sessionTime is how long an assumed role lasts; roles that allow no more than
// an hour are the usual ones.
const sessionTime = time.Hour

// assume makes sessions of the role, tagged with a customer unless that is
// empty. When STS does not let us tag, there is no session: an untagged one
// would be paid by nobody.
func (s *signer) assume(chain *cell[session], customer string) func(context.Context) (fetched[session], error) {
	return func(ctx context.Context) (fetched[session], error) {
		id, err := chain.get(ctx, time.Now())
		if err != nil {
			return fetched[session]{}, err
		}
		region := cmp.Or(s.config.Region, id.region, "us-east-1")
		client := sts.New(sts.Options{
			Region: region, HTTPClient: id.client,
			Credentials: credentials.NewStaticCredentialsProvider(id.ID, id.Secret, id.Token),
		}, func(o *sts.Options) {
			if s.config.STSURL != "" {
				o.BaseEndpoint = &s.config.STSURL
			}
		})
		provider := stscreds.NewAssumeRoleProvider(client, s.config.RoleARN, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName, o.Duration = cmp.Or(s.config.SessionName, "tailplane"), sessionTime
			if s.config.ExternalID != "" {
				o.ExternalID = &s.config.ExternalID
			}
			if customer != "" {
				o.Tags = []types.Tag{{Key: aws.String("customer"), Value: &customer}}
			}
		})
		got, err := provider.Retrieve(ctx)
		if err != nil {
			return fetched[session]{}, refusal("AWS STS, asked for "+s.config.RoleARN+",", awsWords(err), id.Secret, id.Token)
		}
		return found(got, region), nil
	}
}

// awsWords are the service's own code and words of an error of the SDK.
func awsWords(err error) error {
	if said, ok := errors.AsType[interface {
		error
		ErrorCode() string
		ErrorMessage() string
	}](err); ok {
		return fmt.Errorf("%s: %s", said.ErrorCode(), said.ErrorMessage())
	}
	return err
}

// renew replaces the session whose access key id was refused.
func (s *signer) renew(used secret.Value, now time.Time) {
	for _, c := range s.cells() {
		if have := c.have.Load(); have != nil && have.value.ID == used.Reveal() {
			c.renew(now)
		}
	}
}

// cells are all identities that requests are signed with.
func (s *signer) cells() []*cell[session] {
	cells := []*cell[session]{s.base}
	if s.sessions != nil {
		cells = s.sessions.all(cells)
	}
	return cells
}

func (s *signer) hint() string {
	if have := s.base.have.Load(); have != nil {
		return secret.Plain(have.value.ID).Hint()
	}
	return ""
}

func (s *signer) secrets(out []string) []string {
	for _, c := range s.cells() {
		if have := c.have.Load(); have != nil {
			out = append(out, have.value.Secret)
			if have.value.Token != "" {
				out = append(out, have.value.Token)
			}
		}
	}
	return out
}
