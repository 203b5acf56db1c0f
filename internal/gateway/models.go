package gateway

import (
	"encoding/json"
	"net/http"
	"strings"

	"tailplane/internal/llm"
)

// listing is one model in the lists of both families: each SDK reads the
// members that it knows.
type listing struct {
	ID      string `json:"id"`
	Object  string `json:"object,omitempty"`
	Created *int64 `json:"created,omitempty"`
	OwnedBy string `json:"owned_by,omitempty"`
	Type    string `json:"type,omitempty"`
	Display string `json:"display_name,omitempty"`
	At      string `json:"created_at,omitempty"`
}

// started is the creation date of every model in lists: the config does not
// know any, and the SDKs demand one.
const startedRFC3339 = "1970-01-01T00:00:00Z"

func describe(d llm.Dialect, name string) listing {
	if d == llm.Anthropic {
		return listing{ID: name, Type: "model", Display: name, At: startedRFC3339}
	}
	return listing{ID: name, Object: "model", Created: new(int64), OwnedBy: "tailplane"}
}

// listModels answers GET /models with what the key may call.
func listModels(c *call) *llm.Fault {
	d := c.surface.dialect.Name()
	if c.r.Header.Get("Anthropic-Version") != "" {
		d = llm.Anthropic
	}
	list := []listing{}
	for _, name := range c.plane.Catalog.Names() {
		if c.mayCall(name) {
			list = append(list, describe(d, name))
		}
	}
	answer := map[string]any{"object": "list", "data": list}
	switch d {
	case llm.Gemini:
		answer = map[string]any{"models": c.googleModels(list)}
	case llm.Anthropic:
		answer = map[string]any{"data": list, "has_more": false, "first_id": nil, "last_id": nil}
		if len(list) > 0 {
			answer["first_id"], answer["last_id"] = list[0].ID, list[len(list)-1].ID
		}
	}
	return c.writeJSON(answer)
}

// googleModel is one model in Google's list.
type googleModel struct {
	Name    string   `json:"name"`
	Display string   `json:"displayName"`
	Methods []string `json:"supportedGenerationMethods"`
}

func describeForGoogle(name string) googleModel {
	return googleModel{"models/" + name, name, []string{"generateContent", "streamGenerateContent", "countTokens", "embedContent"}}
}

func (c *call) googleModels(list []listing) []googleModel {
	out := make([]googleModel, len(list))
	for i, l := range list {
		out[i] = describeForGoogle(l.ID)
	}
	return out
}

// modelOrNothing answers a path that is no surface: GET /models/NAME, where a
// name may contain slashes, and nothing else.
func (c *call) modelOrNothing() *llm.Fault {
	_, name, ok := strings.Cut(c.r.URL.Path, "/models/")
	if !ok || name == "" || c.r.Method != http.MethodGet {
		return &llm.Fault{Kind: llm.FaultNotFound, Message: "there is no " + cut(c.r.URL.Path, 200) + " here"}
	}
	if _, err := c.plane.destination(name, c.key, false); err != nil {
		return &llm.Fault{Kind: llm.FaultUnknownModel, Param: "model", Message: err.Error()}
	}
	if !c.mayCall(name) {
		return &llm.Fault{Kind: llm.FaultForbidden, Param: "model", Message: "this key may not call that model"}
	}
	c.surface.serve = listModels // like the list, it is no exchange
	if c.surface.dialect.Name() == llm.Gemini {
		return c.writeJSON(describeForGoogle(name))
	}
	return c.writeJSON(describe(c.surface.dialect.Name(), name))
}

// showMetrics answers GET /metrics for scrapers that reach only the data
// listener; they show a key like every other caller.
func showMetrics(c *call) *llm.Fault {
	c.committed, c.ex.Status = true, http.StatusOK
	c.gateway.metrics.Handler().ServeHTTP(c.w, c.r)
	return nil
}

// writeJSON answers with a value of our own.
func (c *call) writeJSON(v any) *llm.Fault {
	body, err := json.Marshal(v)
	if err != nil {
		return &llm.Fault{Kind: llm.FaultInternal, Message: "the answer could not be written", Err: err}
	}
	c.head("application/json", nil, nil)
	return c.writeWhole(body)
}
