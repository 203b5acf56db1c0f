package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"tailplane/internal/sigv4"
)

// TestWhatAWSsOwnSignerMakesIsTaken: over the wire, by net/http's server, with
// the length in the signature as that signer has it, and presigned.
func TestWhatAWSsOwnSignerMakesIsTaken(t *testing.T) {
	r, _, pair := signedRig(t)
	server := httptest.NewServer(r.gateway)
	r.closers = append(r.closers, server.Close)
	as := aws.Credentials{AccessKeyID: pair.ID, SecretAccessKey: pair.Secret.Reveal()}
	signer := v4.NewSigner()
	for _, presigned := range []bool{false, true} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/model/m/converse?b=2&a=x%20y", strings.NewReader(converseBody))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		hash := sigv4.Hash([]byte(converseBody))
		if presigned {
			q := req.URL.Query()
			q.Set("X-Amz-Expires", "60")
			req.URL.RawQuery = q.Encode()
			at, header, err := signer.PresignHTTP(t.Context(), as, req, hash, "bedrock", "eu-west-1", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, at, strings.NewReader(converseBody)); err != nil {
				t.Fatal(err)
			}
			req.Header = header
		} else if err := signer.SignHTTP(t.Context(), as, req, hash, "bedrock", "eu-west-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("presigned %v: HTTP %d %s", presigned, resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"))
		}
	}
	r.stop()
}
