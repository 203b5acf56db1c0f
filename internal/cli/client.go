package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
	"tailplane/internal/llm"
	"tailplane/internal/policy"
)

// client talks to the admin API of the program that runs on this machine.
type client struct {
	Running
	http http.Client
}

// connect finds the running program.
func connect(cmd *cobra.Command, d Deps) (*client, error) {
	state, _ := cmd.Flags().GetString("state") // declared on the root
	at, err := d.Running(state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{ExitUnreachable, "no tailplane runs with this state directory", "start one with `tailplane serve`, or name the directory with --state"}
	}
	if err != nil {
		return nil, &Error{ExitFailed, fmt.Sprintf("the running tailplane cannot be found: %v", err), ""}
	}
	return &client{Running: at, http: http.Client{Timeout: time.Minute, Transport: trusting(at.AdminKey)}}, nil
}

// trusting reaches a listener of this machine. Where it has TLS it is known by
// its public key, which stands in the state directory: its certificate is for the
// name that others call it by.
func trusting(key string) http.RoundTripper {
	if key == "" {
		return http.DefaultTransport
	}
	return &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // VerifyConnection decides
		VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if hex.EncodeToString(sum[:]) != key {
				return errors.New("another program answers: its key is not the one in the state directory")
			}
			return nil
		},
	}}
}

// address is a listener's, with the scheme that it has.
func address(host, key string) string {
	if key != "" {
		return "https://" + host
	}
	return "http://" + host
}

// base is the address of the admin listener.
func (c *client) base() string { return address(c.Admin, c.AdminKey) }

// api is the address of the data listener.
func (c *client) api() string { return address(c.Data, c.DataKey) }

// get asks the admin API and decodes its answer.
func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	return c.do(ctx, http.MethodGet, path, query, nil, into)
}

// do sends an order: JSON, or what a reader gives as it is. Names in path are escaped by who puts them there.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	var payload io.Reader
	if file, is := body.(io.Reader); is {
		payload = file
	} else if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(raw)
	}
	at := c.base() + "/admin/v1" + path
	if len(query) > 0 {
		at += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, at, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return refused(raw, resp.StatusCode)
	}
	return json.Unmarshal(raw, into)
}

func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Error{ExitUnreachable, fmt.Sprintf("tailplane does not answer at %s: %v", c.Admin, err), "is it still running? see its log"}
}

// refused turns an error of the admin API, or of the API that serves OpenAI's SDK,
// into one with an exit code.
func refused(raw []byte, status int) error {
	var body struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(raw, &body) != nil || body.Error.Message == "" {
		return &Error{ExitFailed, fmt.Sprintf("tailplane answered with status %d", status), ""}
	}
	return &Error{exitOf(body.Error.Code), body.Error.Message, ""}
}

// exitOf is the exit code for the code of an API's error.
func exitOf(code string) int {
	switch code {
	case "usage":
		return ExitUsage
	case "unauthorized", "forbidden":
		return ExitUnauthorized
	case "not_found":
		return ExitNotFound
	case "conflict":
		return ExitConflict
	}
	switch llm.FaultKind(code) {
	case llm.FaultConnect, llm.FaultConnectTime, llm.FaultFirstToken, llm.FaultIdle, llm.FaultTotal:
		return ExitUnreachable
	}
	return ExitFailed
}

// passing is the order for a key that serves a purpose and ends.
func passing(name string, lifetime time.Duration, ephemeral bool) admin.NewKey {
	return admin.NewKey{
		Order:    policy.Order{KeySpec: policy.KeySpec{Name: name}, Label: name, Ephemeral: ephemeral},
		Lifetime: int64(lifetime / time.Second),
	}
}

// key makes a client key.
func (c *client) key(ctx context.Context, order admin.NewKey) (string, error) {
	var made struct{ Key string }
	err := c.do(ctx, http.MethodPost, "/keys", nil, order, &made)
	return made.Key, err
}
