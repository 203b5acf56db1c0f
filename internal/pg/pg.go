// Package pg opens the PostgreSQL database that several gateways share.
//
// It owns the pool of connections with its timeouts, and the application of
// numbered migrations. It owns no table but its
// own list of migrations: each package that keeps something there brings its
// tables along, under its own name. It never lies on the way of a request.
//
// Start reading at [Open].
package pg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options are how the database is reached.
type Options struct {
	// Dial opens connections over the network; nil means any way. The program gives
	// the one way out that package egress guards.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Connections at once; 0 means 8.
	Connections int
}

// Open returns a pool for the database at address. It connects when it is first
// used: a database that is down at the start is an error of each use, not of
// Open. No use waits longer for a connection than 5 s. The error never holds the
// address, which may have a password in it.
func Open(ctx context.Context, address string, o Options) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the address of the PostgreSQL database cannot be read; write postgres://user@host/name, or host=HOST dbname=NAME")
	}
	c.MaxConns = int32(o.Connections)
	if c.MaxConns <= 0 {
		c.MaxConns = 8
	}
	c.ConnConfig.ConnectTimeout = 5 * time.Second
	if o.Dial != nil {
		local := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			if network == "unix" {
				return local(ctx, network, address) // it does not lead out
			}
			return o.Dial(ctx, network, address)
		}
		// The dialer resolves names itself, so that its policy sees them.
		c.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
	params := c.ConnConfig.RuntimeParams
	params["application_name"] = "tailplane"
	params["timezone"] = "UTC"
	for name, value := range map[string]string{
		"statement_timeout": "60000", "lock_timeout": "5000", "idle_in_transaction_session_timeout": "60000",
	} {
		if params[name] == "" {
			params[name] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open the PostgreSQL database: %w", err)
	}
	return pool, nil
}

// Hosts are the hosts with ports that an address leads to; none for a local socket,
// or for an address that cannot be read.
func Hosts(address string) (list []string) {
	c, err := pgconn.ParseConfig(address)
	if err != nil {
		return nil
	}
	add := func(host string, port uint16) {
		at := net.JoinHostPort(host, strconv.Itoa(int(port)))
		if !strings.HasPrefix(host, "/") && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	add(c.Host, c.Port)
	for _, other := range c.Fallbacks {
		add(other.Host, other.Port)
	}
	return list
}

// Down reports whether an error says that the database could not be reached, or
// not in time, and nothing about what it was asked.
func Down(err error) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// 08 connection, 53 resources (disk full, too many connections),
		// 57 the operator stops it, 25006 a replica that only reads.
		return len(e.Code) == 5 && (e.Code[:2] == "08" || e.Code[:2] == "53" || e.Code[:2] == "57" || e.Code == "25006")
	}
	return true
}
