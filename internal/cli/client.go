package cli

import (
	"bytes"
	"context"
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
	"tailplane/internal/secret"
)

// client talks to the admin API of the program that runs on this machine.
type client struct {
	data, admin string
	token       secret.Value
	http        http.Client
}

// connect finds the running program.
func connect(cmd *cobra.Command, d Deps) (*client, error) {
	state, _ := cmd.Flags().GetString("state") // declared on the root
	data, adm, token, err := d.Running(state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{ExitUnreachable, "no tailplane runs with this state directory", "start one with `tailplane serve`, or name the directory with --state"}
	}
	if err != nil {
		return nil, &Error{ExitFailed, fmt.Sprintf("the running tailplane cannot be found: %v", err), ""}
	}
	return &client{data: data, admin: adm, token: token, http: http.Client{Timeout: time.Minute}}, nil
}

// base is the address of the admin listener.
func (c *client) base() string { return "http://" + c.admin }

// get asks the admin API and decodes its answer.
func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	return c.do(ctx, http.MethodGet, path, query, nil, into)
}

// do sends an order. Names in path are escaped by who puts them there.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(raw)
	}
	address := c.base() + "/admin/v1" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
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
	return &Error{ExitUnreachable, fmt.Sprintf("tailplane does not answer at %s: %v", c.admin, err), "is it still running? see its log"}
}

// refused turns an error of the admin API into one with an exit code.
func refused(raw []byte, status int) error {
	var body struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(raw, &body) != nil || body.Error.Message == "" {
		return &Error{ExitFailed, fmt.Sprintf("the admin API answered with status %d", status), ""}
	}
	codes := map[string]int{"usage": ExitUsage, "unauthorized": ExitUnauthorized, "forbidden": ExitUnauthorized, "not_found": ExitNotFound, "conflict": ExitConflict}
	code, ok := codes[body.Error.Code]
	if !ok {
		code = ExitFailed
	}
	return &Error{code, body.Error.Message, ""}
}

// key makes a client key.
func (c *client) key(ctx context.Context, order admin.NewKey) (string, error) {
	var made struct{ Key string }
	err := c.do(ctx, http.MethodPost, "/keys", nil, order, &made)
	return made.Key, err
}
