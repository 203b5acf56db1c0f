package app

import (
	"context"
	"encoding/json"
	"net/http"

	"tailplane/internal/admin"
	"tailplane/internal/gateway"
	"tailplane/internal/policy"
	"tailplane/internal/wire"
)

// explain tells what would become of a request now.
func (s *Server) explain(ctx context.Context, order admin.Explain) (any, bool) {
	return s.explained(ctx, order)
}

// explained is that; false when there is no key of the order's name.
func (s *Server) explained(ctx context.Context, order admin.Explain) (gateway.Explained, bool) {
	key := policy.Anonymous()
	if order.Key != "" {
		if key = s.gateway.Plane().Keys.Named(order.Key); key == nil {
			return gateway.Explained{}, false
		}
	}
	header := http.Header{}
	for name, value := range order.Headers {
		header.Set(name, value)
	}
	return s.gateway.Explain(ctx, key, order.Path, header, withModel(order.Body, order.Model)), true
}

// withModel is a body that asks for another model; one that is no object stays as
// it is, and is told of.
func withModel(body json.RawMessage, model string) []byte {
	var found [1]wire.Member
	object, err := wire.Scan(body, []string{"model"}, found[:])
	if model == "" || err != nil {
		return body
	}
	edit, _ := wire.SetMember(nil, object, found[0], "model", wire.AppendString(nil, model))
	return wire.Splice(nil, body, edit)
}
