package app

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"time"

	"tailplane/internal/admin"
	"tailplane/internal/config"
	"tailplane/internal/credential"
	"tailplane/internal/discover"
	"tailplane/internal/egress"
	"tailplane/internal/facts"
	"tailplane/internal/gateway"
	"tailplane/internal/h1"
	"tailplane/internal/secret"
	"tailplane/internal/telemetry"
)

// ExplainFile tells what would become of a request by a valid file alone: nothing
// runs, is dialed or kept, and no secret is read. A target with `discover:` stands
// for its replicas, which nobody has looked for. ok is false when the file has no key
// of the order's name.
func ExplainFile(ctx context.Context, f *config.File, order admin.Explain) (told gateway.Explained, ok bool, err error) {
	s := &Server{
		opt: Options{Ephemeral: true}, started: time.Now(), file: onPaper(f),
		network: egress.New(egress.Options{Connect: unreachable}), metrics: telemetry.New(""), log: telemetry.NewLog(io.Discard, "text", nil),
	}
	s.inside = h1.New(h1.Options{Dial: unreachable})
	if s.identities, err = s.identityClient(s.file); err != nil {
		return told, false, err
	}
	s.resolvers = credential.Resolvers(s.identities)
	if err := s.openState(ctx); err != nil {
		return told, false, err
	}
	defer s.closeState()
	if err := s.learn(s.file, s.started); err != nil {
		return told, false, err
	}
	plane, _, err := s.plane(s.file)
	if err != nil {
		return told, false, err
	}
	s.heed(s.file, plane)
	s.gateway = gateway.New(plane, s.journal, s.metrics, s.log)
	told, ok = s.explained(ctx, order)
	return told, ok, nil
}

// onPaper is a file without what would lead out of it: stores, credentials,
// sources of replicas. What decides about requests stays.
func onPaper(f *config.File) *config.File {
	p := *f
	p.Store, p.Egress = facts.Config{}, egress.Config{}
	p.Keys.Pepper, p.Keys.JWT, p.Keys.MTLS = secret.Ref{}, nil, nil
	p.Keys.Static = slices.Clone(f.Keys.Static)
	for i := range p.Keys.Static {
		p.Keys.Static[i].Key = secret.Ref{}
	}
	p.Targets = maps.Clone(f.Targets)
	for name, t := range p.Targets {
		t.Key, t.NextKey, t.Keys, t.Auth, t.Headers, t.Egress = secret.Ref{}, secret.Ref{}, nil, credential.Auth{}, nil, egress.Override{}
		if !t.Discover.IsZero() {
			t.Discover, t.URL = discover.Config{}, "http://"+replicaHost
		}
		p.Targets[name] = t
	}
	return &p
}

// replicaHost stands for addresses that are not known.
const replicaHost = "replicas.invalid"

// unreachable dials nothing.
func unreachable(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("nothing is dialed to explain a file")
}
