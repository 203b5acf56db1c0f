//go:build !unix

package h1

import (
	"syscall"
	"time"
)

// look cannot see a closed connection on this system; replay.go covers it.
type look struct{}

func (*look) bind(syscall.RawConn) {}
func (*look) ok() bool             { return true }

// trip is not made on this system.
type trip struct{}

func (*trip) bind(*conn, syscall.RawConn) {}
func (*trip) able() bool                  { return false }

func (*trip) run([]byte, time.Time) (s sending, rest []byte, readErr error) { return s, nil, nil }
