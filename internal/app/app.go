// Package app builds the program from its packages and runs it.
//
// It owns start, reload and stop, the state directory, and what is said at
// start. It joins packages and decides nothing that one of them could decide.
//
// Start reading at [Serve].
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/admin"
	"tailplane/internal/busy"
	"tailplane/internal/complexity"
	"tailplane/internal/config"
	"tailplane/internal/credential"
	"tailplane/internal/discover"
	"tailplane/internal/egress"
	"tailplane/internal/fleet"
	"tailplane/internal/gateway"
	"tailplane/internal/gossip"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/meter"
	"tailplane/internal/notify"
	"tailplane/internal/owner"
	"tailplane/internal/policy"
	"tailplane/internal/route"
	"tailplane/internal/secret"
	"tailplane/internal/telemetry"
	"tailplane/internal/upstream"
	"tailplane/internal/watch"
)

// Options are what the command line says about a run.
type Options struct {
	Version   string
	Config    string // path; empty looks for one, and goes without if there is none
	Data      string // address, instead of the config's
	Admin     string
	State     string // directory, instead of the default one
	NoDetect  bool   // do not look for keys and engines
	Ephemeral bool   // keep all state in memory
	NoWatch   bool   // do not look for changes of the config file
	LogFormat string // text or json
	Out       io.Writer
	Err       io.Writer
	// Ports of this machine are where engines are looked for; nil means the
	// usual ones.
	Ports []int
	// Resolver finds replicas behind names; nil means the network's.
	Resolver discover.Resolver
	// Dial opens connections to targets; nil means the network.
	Dial upstream.Dialer
}

// Server is a running program.
type Server struct {
	opt        Options
	log        *telemetry.Log
	logs       *telemetry.LogWriter
	metrics    *telemetry.Metrics
	book       *meter.Book
	store      *policy.Store
	fleet      fleet.Fleet
	groups     route.Groups
	peers      *gossip.Gossip // nil: this gateway is alone
	caches     *cacheEvents
	watcher    *watch.Watcher
	journal    *ledger.Journal
	kept       *stores
	statements admin.Statements // nil without a state directory
	notifier   *notify.Notifier // nil: nobody is told
	accounts   *account.Accounts
	estimates  *account.Estimator
	sim        *simulator
	network    *egress.Network
	inside     *h1.Client   // to the simulator
	identities *http.Client // to identity endpoints and secret stores
	resolvers  secret.Resolvers
	gateway    *gateway.Gateway
	outcomes   *complexity.Outcomes // nil without a state directory
	learning   *gateway.Learning
	owners     *owner.Index
	discovery  *discover.Manager
	outside    atomic.Pointer[config.File] // whose egress section is in force
	busy       sync.WaitGroup              // requests to the data listener
	load       busy.Gauge
	started    time.Time
	token      secret.Value
	door       *admin.Door
	provider   admin.Provider // of people; nil when the file names none
	data       net.Listener
	admin      net.Listener
	dataTLS    *material // nil without TLS
	adminTLS   *material

	mu      sync.Mutex // serialises reloads
	file    *config.File
	clients clients                      // to the network
	parts   gateway.Parts                // of the plane in force
	trained map[string]*complexity.Model // of the models with complexity, by name
	seen    replicasSeen
	found   detection
	refused atomic.Pointer[string] // why the last changed config was not taken
	known   atomic.Pointer[knowledge]
}

// records is a store that can also be asked.
type records interface {
	ledger.Store
	ledger.Reader
	Rerate(ctx context.Context, run ledger.Run, price func(*ledger.Exchange) []ledger.Rate) (ledger.RunOutcome, error)
}

// Serve runs the program until ctx ends, then lets running requests finish for
// a while. ready is called once, when everything listens; nil is allowed.
func Serve(ctx context.Context, opt Options, ready func(*Server)) error {
	s, err := start(ctx, opt)
	if err != nil {
		return err
	}
	if s.zero() {
		ctx = untilHangup(ctx)
	}
	return s.run(ctx, ready)
}

// untilHangup ends at a hangup, too. Without a config there is nothing to read
// again: the terminal has closed, and that is an order to stop. A second one ends
// the program at once.
func untilHangup(ctx context.Context) context.Context {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	return ctx
}

// start builds everything up to the listeners.
func start(ctx context.Context, opt Options) (*Server, error) {
	s := &Server{opt: opt, started: time.Now(), network: egress.New(egress.Options{Connect: opt.Dial})}
	s.metrics = telemetry.New(opt.Version)
	s.logs = telemetry.NewLogWriter(opt.Err, s.metrics.LogDropped.Inc)
	s.log = telemetry.NewLog(s.logs, opt.LogFormat, nil)
	file, err := s.firstFile(ctx)
	if err != nil {
		return nil, err
	}
	s.file = file
	if s.sim, err = newSimulator(s.log.Logger); err != nil {
		return nil, err
	}
	s.inside = h1.New(h1.Options{Dial: s.sim.pipes.dial})
	if s.identities, err = s.identityClient(file); err != nil {
		return nil, err
	}
	s.resolvers = credential.Resolvers(s.identities)
	s.outside.Store(file)
	s.network.Enforce(file.Egress, file.Destinations()) // the state may lie in a database
	if s.notifier, err = s.openNotifier(file); err != nil {
		return nil, err
	}
	if err := s.openState(ctx); err != nil {
		return nil, err
	}
	for _, what := range s.journal.Recovered().Damage() {
		s.log.Error("the ledger's journal is damaged; what cannot be read stays in its directory", "why", what)
	}
	if err := s.learn(file, s.started); err != nil {
		s.closeState()
		return nil, fmt.Errorf("load the catalogue: %w", err)
	}
	s.discovery = s.newDiscovery()
	if err := s.discovery.Apply(file.Discovered()); err != nil {
		s.closeState()
		return nil, err
	}
	if err := s.openGossip(); err != nil {
		s.closeState()
		return nil, fmt.Errorf("gossip: %w", err)
	}
	plane, ways, err := s.plane(file)
	if err != nil {
		s.abandon()
		return nil, err
	}
	s.adopt(file, ways)
	s.learnBalances(ctx)
	provider, err := s.providerOf(file)
	if err != nil {
		s.abandon()
		return nil, err
	}
	s.door = admin.NewDoor(s.token)
	s.openDoor(file, provider)
	s.gateway = gateway.New(plane, s.journal, s.metrics, s.log)
	s.gateway.WatchQueues()
	s.gateway.UseOwners(s.owners)
	s.showFleet()
	s.newWatcher()
	s.caches = newCacheEvents(s)
	s.follow(file, plane)
	s.showDiscovery()
	s.showLearning()
	s.metrics.Gauge("credentials_parked", "Credentials that are left alone now because their provider refused them.", s.parkedCredentials)
	if err := s.listen(); err != nil {
		s.abandon()
		return nil, err
	}
	return s, nil
}

// abandon closes what a start that fails has opened.
func (s *Server) abandon() {
	if s.peers != nil {
		if err := s.peers.Close(); err != nil {
			s.log.Warn("gossip was not closed cleanly", "error", err)
		}
	}
	s.closeState()
}

// listenConfig is the file's section with what the command line says instead,
// and once it listens, with the address where it does: a reload cannot move it.
func (s *Server) listenConfig(f *config.File) gateway.Listen {
	l := f.Listen
	l.Data.Addr = cmp.Or(s.opt.Data, l.Data.Addr)
	l.Admin.Addr = cmp.Or(s.opt.Admin, l.Admin.Addr)
	if s.data != nil {
		l.Data.Addr = s.data.Addr().String()
	}
	return l
}

// listen opens both listeners. Addresses of the command line must pass what
// those of the file have to.
func (s *Server) listen() error {
	l := s.listenConfig(s.file)
	var problems []error
	l.Validate(s.file.Keyless(), s.file.Auth.Guarded(), func(path, wrong, right string) {
		problems = append(problems, fmt.Errorf("%s: %s; %s", path, wrong, right))
	})
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if err := s.secure(l); err != nil {
		return err
	}
	var err error
	if s.data, err = listenOn(l.Data.Addr, s.zero() && s.opt.Data == ""); err != nil {
		return fmt.Errorf("listen for the API: %w; name a free address with --data or listen.data.addr", err)
	}
	if s.admin, err = listenOn(l.Admin.Addr, s.zero() && s.opt.Admin == ""); err != nil {
		return errors.Join(fmt.Errorf("listen for admin: %w; name a free address with --admin or listen.admin.addr", err), s.data.Close())
	}
	return nil
}

// zero reports whether the program runs without a config.
func (s *Server) zero() bool { return s.opt.Config == "" }

// run serves until ctx ends. Its error is also what did not end well.
func (s *Server) run(ctx context.Context, ready func(*Server)) error {
	defer s.closeState()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	failed := make(chan error, 8) // one for each that may fail: nobody waits to tell
	task := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(background); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	task("log", func(ctx context.Context) error { s.logs.Run(ctx); return nil })
	task("simulator", s.sim.run)
	task("load", func(ctx context.Context) error { s.load.Run(ctx); return nil })
	task("ledger", s.journal.Run)
	task("retention", s.retain)
	task("accounts", s.accounts.Run)
	task("keys", s.store.Follow)
	task("watch", s.watcher.Run)
	task("discovery", s.discovery.Run)
	task("cache events", s.caches.Run)
	if s.peers != nil {
		task("gossip", s.peers.Run)
	}
	task("replicas", s.forgetReplicas)
	if s.notifier != nil {
		task("webhook", s.notifier.Run)
	}
	if !s.zero() {
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		task("config", func(ctx context.Context) error { return s.watch(ctx, hangup) })
	}
	s.firstReplicas(background)
	data, adm := s.servers()
	listen := func(serve func(net.Listener) error, ln net.Listener) {
		wg.Go(func() {
			if err := serve(ln); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	listen(data.Serve, over(s.data, s.dataTLS))
	listen(s.serveAdmin(adm), s.admin)
	if err := s.announce(); err != nil {
		failed <- err
	} else if ready != nil {
		ready(s)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.drain(data, adm, err == nil)
	stop()
	wg.Wait()
	s.withdraw()
	for range len(failed) {
		late := <-failed
		s.log.Error("not everything ended well; the next start goes on from the journal", "error", late)
		err = errors.Join(err, late)
	}
	s.logs.Flush()
	return err
}

// A request that is ended has so long to tell its caller, and to be settled.
const (
	lastWords = 2 * time.Second
	cutTime   = 5 * time.Second
)

// drain stops taking requests, at once or, where that was ordered, after the time that
// the config gives, and waits for those that run. What does not end in time is ended; it
// is settled like every other request that breaks.
func (s *Server) drain(data *dataServer, adm *http.Server, ordered bool) {
	s.mu.Lock()
	stop := s.file.Listen.Stop
	s.mu.Unlock()
	if !ordered {
		stop.Accept = 0 // what has failed is not there for new requests
	}
	s.gateway.Drain()
	s.log.Info("stopping: running requests may finish; another signal ends them", "accept", stop.Accept.String(), "finish", stop.Finish.String())
	time.Sleep(stop.Accept)
	if !shutsDown(data, stop.Finish) {
		if n := s.journal.Stats().Open; n > 0 { // else connections without a request are still closing
			s.log.Warn("requests are ended because they did not end in time", "requests", n, "after", stop.Finish.String())
		}
		s.gateway.Cut()
		data.Interrupt()
		if !shutsDown(data, lastWords) {
			_ = data.Close()
		}
	}
	settled := make(chan struct{})
	go func() { s.busy.Wait(); close(settled) }()
	select {
	case <-settled:
	case <-time.After(cutTime):
		s.log.Warn("requests did not end even when cut off; the next start marks them unknown")
	}
	_ = adm.Close()
	s.mu.Lock()
	for _, c := range s.clients {
		c.CloseIdle()
	}
	s.mu.Unlock()
	s.inside.CloseIdle()
	s.identities.CloseIdleConnections()
}

// shutsDown reports whether all requests end in time.
func shutsDown(data *dataServer, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return data.Shutdown(ctx) == nil
}

// serveData is the gateway, counted so that a stop can wait for it.
func (s *Server) serveData(w http.ResponseWriter, r *http.Request) {
	s.busy.Add(1)
	defer s.busy.Done()
	s.gateway.ServeHTTP(w, r)
}

// servers are the servers of the two listeners.
func (s *Server) servers() (data *dataServer, adm *http.Server) {
	data = newDataServer(http.HandlerFunc(s.serveData), s.load.Yield, s.log.Logger)
	service := &admin.Service{
		Reader: s.kept.records, Journal: s.journal, JournalDir: s.journalDir(), Keys: s.store, Facts: s.kept.facts,
		Hourly: s.hourly, Accounts: s.accounts, Statements: s.statements,
		Rerate: s.kept.records.Rerate, Book: func() *meter.Book { return s.gateway.Plane().Book },
		Door: s.door, Address: s.adminURL, Models: s.models, Explain: s.explain, Status: s.status, Reload: s.Reload, Targets: s.standings, Drain: s.drainLive, Ready: s.gateway.Ready, Egress: s.network.Report,
		Lookup: func(text string, now time.Time) *policy.Key { return s.gateway.Plane().Keys.Find(text, now) },
		Pair: func(key string, now time.Time) (policy.Pair, *policy.Key, error) {
			return s.gateway.Plane().Keys.PairOf(key, now)
		},
	}
	if s.kept.leases != nil {
		service.Forgive = func(ctx context.Context, gateway string) (int64, error) {
			nano, err := s.kept.leases.WriteOff(ctx, gateway)
			return int64(nano), err
		}
	}
	adm = &http.Server{
		Handler: service.Handler(s.adminHosts, s.metrics.Handler()), ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headTime, ReadTimeout: 30 * time.Second, IdleTimeout: idleTime, MaxHeaderBytes: mostHead,
	}
	return data, adm
}
