package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Explain asks what would become of a request.
type Explain struct {
	Path    string            `json:"path"`              // of the data listener; default /v1/chat/completions
	Key     string            `json:"key,omitempty"`     // whose request it is, by name or id; none: anybody's
	Model   string            `json:"model,omitempty"`   // instead of the body's
	Headers map[string]string `json:"headers,omitempty"` // of the request
	Body    json.RawMessage   `json:"body"`
}

// Explain tells where a request would go now, and why; nothing is sent.
func (v *View) Explain(ctx context.Context, order Explain) (any, error) {
	if err := v.Viewer.may(ToSeeModels); err != nil {
		return nil, err
	}
	if v.Viewer.narrow() {
		return nil, v.Viewer.refuse("ask where others' requests go")
	}
	if order.Path == "" {
		order.Path = "/v1/chat/completions"
	}
	told, ok := v.service.Explain(ctx, order)
	if !ok {
		return nil, fmt.Errorf("%w: there is no key %q", ErrNotFound, order.Key)
	}
	return told, nil
}

func explain(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToSeeModels); err != nil {
		return nil, err
	}
	var order Explain
	if err := decode(r, &order, "a request to explain"); err != nil {
		return nil, err
	}
	return v.Explain(r.Context(), order)
}
