package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tailplane/internal/policy"
	"tailplane/internal/secret"
)

// listenOn opens an address. Without a config the next free port is taken when
// somebody holds the usual one.
func listenOn(addr string, next bool) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err == nil || !next || !errors.Is(err, syscall.EADDRINUSE) {
		return ln, err
	}
	host, port, _ := net.SplitHostPort(addr)
	first, convErr := strconv.Atoi(port)
	if convErr != nil {
		return nil, err
	}
	for p := first + 2; p < first+40; p += 2 {
		if ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p))); err == nil {
			return ln, nil
		}
	}
	return nil, fmt.Errorf("%w; nearby ports are taken, too: name a free one with --data and --admin", err)
}

// The files of the state directory that the command line reads.
const (
	tokenFile = "admin.token"
	runFile   = "run.json"
)

// adminToken is the secret of the admin API: made once, readable only by the
// user who runs the program.
func adminToken(dir string) (secret.Value, error) {
	if dir != "" {
		token, err := readToken(dir)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return token, err
		}
	}
	var random [24]byte
	if _, err := rand.Read(random[:]); err != nil {
		return secret.Value{}, err
	}
	token := hex.EncodeToString(random[:])
	if dir == "" {
		return secret.Plain(token), nil
	}
	if err := os.WriteFile(filepath.Join(dir, tokenFile), []byte(token+"\n"), 0o600); err != nil {
		return secret.Value{}, fmt.Errorf("keep the admin token: %w", err)
	}
	return secret.Plain(token), nil
}

// readToken reads the token of a state directory.
func readToken(dir string) (secret.Value, error) {
	path := filepath.Join(dir, tokenFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return secret.Value{}, fmt.Errorf("read the admin token: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if len(token) < 32 {
		return secret.Value{}, fmt.Errorf("the admin token in %s is damaged; remove the file, the next start makes another", path)
	}
	return secret.Plain(token), nil
}

// Running says where a running program is found; it lies in the state
// directory while the program runs.
type Running struct {
	Data  string `json:"data"`  // host:port of the API
	Admin string `json:"admin"` // host:port of the admin listener
	PID   int    `json:"pid"`
	// DataKey and AdminKey are the SHA-256 of the public keys of listeners with
	// TLS, as hex: who reads this file knows whom to trust, whatever name a
	// certificate is for. They are empty without TLS.
	DataKey  string `json:"data_key,omitempty"`
	AdminKey string `json:"admin_key,omitempty"`
}

// FindRunning reads where the program with a state directory listens, and its
// admin token.
func FindRunning(dir string) (Running, secret.Value, error) {
	var r Running
	raw, err := os.ReadFile(filepath.Join(dir, runFile))
	if err != nil {
		return r, secret.Value{}, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, secret.Value{}, fmt.Errorf("%s is damaged: %w; start tailplane again", filepath.Join(dir, runFile), err)
	}
	token, err := readToken(dir)
	return r, token, err
}

// announce tells the command line and the reader where everything is.
func (s *Server) announce() error {
	if err := s.writeWhere(); err != nil {
		return err
	}
	key, err := s.firstKey()
	if err != nil {
		return err
	}
	s.banner(key)
	return nil
}

// writeWhere keeps where everything is, for the command line.
func (s *Server) writeWhere() error {
	if s.opt.State == "" {
		return nil
	}
	where := Running{Data: here(s.data), Admin: here(s.admin), PID: os.Getpid()}
	if s.dataTLS != nil {
		where.DataKey = s.dataTLS.key()
	}
	if s.adminTLS != nil {
		where.AdminKey = s.adminTLS.key()
	}
	raw, err := json.Marshal(where)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.opt.State, runFile), raw, 0o600); err != nil {
		return fmt.Errorf("say where we listen: %w", err)
	}
	return nil
}

// sayWhere keeps it again after a certificate has changed.
func (s *Server) sayWhere() {
	if err := s.writeWhere(); err != nil {
		s.log.Error("the command line cannot find this program any more", "error", err)
	}
}

// url is the address of a listener, as this machine reaches it.
func url(ln net.Listener, m *material) string {
	if m != nil {
		return "https://" + here(ln)
	}
	return "http://" + here(ln)
}

// here is where this machine reaches a listener. One that listens on every address
// is called by the loopback one: what it is bound to is no address to call.
func here(ln net.Listener) string {
	at, ok := ln.Addr().(*net.TCPAddr)
	if !ok || !at.IP.IsUnspecified() {
		return ln.Addr().String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(at.Port))
}

// withdraw takes back what announce wrote, unless somebody else has taken the
// place since.
func (s *Server) withdraw() {
	if s.opt.State == "" {
		return
	}
	path := filepath.Join(s.opt.State, runFile)
	if r, _, err := FindRunning(s.opt.State); err == nil && r.PID == os.Getpid() {
		_ = os.Remove(path)
	}
}

// firstKey makes a key when one is needed and there is none; its text is shown
// this once.
func (s *Server) firstKey() (secret.Value, error) {
	if !s.gateway.Plane().Keys.Empty() {
		return secret.Value{}, nil
	}
	text, _, err := s.store.CreateKey(context.Background(), "first start", policy.Order{KeySpec: policy.KeySpec{Name: "first"}, Label: "dev"}, time.Now())
	return text, err
}

// banner says what runs, in about a dozen lines.
func (s *Server) banner(key secret.Value) {
	var b strings.Builder
	if s.zero() {
		fmt.Fprintf(&b, "tailplane %s  zero-config (no tailplane.yaml found; `tailplane config init` writes one)\n\n", s.opt.Version)
		s.sayFound(&b)
	} else {
		fmt.Fprintf(&b, "tailplane %s  %s (%s): %s, %s\n\n", s.opt.Version, s.file.Name, s.file.Hash,
			count(len(s.file.Targets), "target"), count(len(s.file.Models), "model"))
	}
	fmt.Fprintf(&b, "  API      %s/v1     OpenAI and Anthropic SDKs\n", url(s.data, s.dataTLS))
	fmt.Fprintf(&b, "  Admin    %s        metrics, and the tailplane command\n", url(s.admin, s.adminTLS))
	switch {
	case !key.IsZero():
		fmt.Fprintf(&b, "  Key      %s   shown once\n", key.Reveal())
	case s.file.Keyless():
		fmt.Fprintf(&b, "  Key      none needed (keys.required: false)\n")
	default:
		fmt.Fprintf(&b, "  Key      the ones made before; `tailplane env` makes another\n")
	}
	state := s.opt.State
	if state == "" {
		state = "in memory, gone at the end (--ephemeral)"
	}
	fmt.Fprintf(&b, "  State    %s\n\n", state)
	fmt.Fprintf(&b, "  try      tailplane try \"hello\"\n  SDKs     eval \"$(tailplane env)\"")
	s.sayNotes(&b)
	fmt.Fprintf(&b, "ready in %d ms\n", time.Since(s.started).Milliseconds())
	_, _ = fmt.Fprint(s.opt.Out, b.String()) // a closed terminal is no reason to stop
}

// sayNotes tells what is not as usual.
func (s *Server) sayNotes(b *strings.Builder) {
	for _, l := range []struct{ usual, got string }{
		{s.file.Listen.Data.Addr, s.data.Addr().String()}, {s.file.Listen.Admin.Addr, s.admin.Addr().String()},
	} {
		if s.zero() && s.opt.Data == "" && s.opt.Admin == "" && l.usual != l.got {
			fmt.Fprintf(b, "\n  note     %s is taken by another program; this one listens on %s", l.usual, l.got)
		}
	}
	if n := len(s.journal.Recovered().Unknown); n > 0 {
		fmt.Fprintf(b, "\n  note     %s from a run that was killed, now marked unknown in the ledger", count(n, "request"))
	}
	if n := len(s.journal.Recovered().Damage()); n > 0 {
		fmt.Fprintf(b, "\n  note     the ledger's journal is damaged in %s; its files are in %s", count(n, "place"), s.opt.State)
	}
	b.WriteString("\n")
}

func (s *Server) sayFound(b *strings.Builder) {
	for _, e := range s.found.engines {
		fmt.Fprintf(b, "  found    %-10s 127.0.0.1:%-14d %s\n", e.Kind, e.Port, brief(e.Models))
	}
	for _, k := range s.found.keys {
		fmt.Fprintf(b, "  found    %-10s %s %s%s   (used only when you name its models)\n", k.kind.Name, k.env, k.hint, k.at())
	}
	for _, k := range s.found.skipped {
		fmt.Fprintf(b, "  skipped  %-10s %s, since what %s holds is not usable   (an address is https://HOST/PATH, without a password)\n", k.kind, k.env, k.variable)
	}
	fmt.Fprintf(b, "  always   simulator  sim/fast, sim/slow          (no GPU, no key, no cost)\n\n")
}

// brief names a few of many.
func brief(names []string) string {
	const most = 4
	if len(names) == 0 {
		return "no models loaded"
	}
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
