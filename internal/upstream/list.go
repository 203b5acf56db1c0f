package upstream

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"time"

	"tailplane/internal/egress"
	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// Question is a GET that a target answers free of charge: what a live check asks
// before there is traffic.
type Question struct {
	Path string
	// Host is another host of the provider's than the target's own, on port 443;
	// empty is the target's.
	Host string
	// Lists says that the answer lists models by the names that requests use.
	Lists bool
	// Partly is why it does not, where it lists something else.
	Partly string
	// Aside: serving requests needs no permission to ask this.
	Aside bool
}

// Questions are what may be asked of the target, in order: the first by the way
// and with the credential of every request. There are none for the simulator in
// this process.
func (t *Target) Questions() []Question {
	switch {
	case t.Kind == &simulator && t.Config.URL == "":
		return nil
	case t.Kind.Asks != nil:
		return t.Kind.Asks(t)
	}
	return []Question{{Path: t.prefix + "/models", Lists: true}}
}

// Asides are the destinations of the questions that are not the target's own.
func (t *Target) Asides() []egress.Destination {
	var out []egress.Destination
	for _, q := range t.Questions() {
		d := egress.Destination{Address: net.JoinHostPort(q.Host, "443"), Why: "live check of target " + t.Name}
		if q.Host != "" && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// Reply is the answer to a question.
type Reply struct {
	Status int
	Header h1.Header
	Body   []byte
}

// mostList bounds what is read of an answer.
const mostList = 4 << 20

// checkCustomer is for whom is asked where sessions are tagged with a customer.
const checkCustomer = "tailplane-check"

// Ask asks a question. The fault is one of the way there or of the credential;
// an answer of any status is none.
func (t *Target) Ask(ctx context.Context, q Question) (Reply, *llm.Fault) {
	begin := time.Now()
	req := h1.Request{
		Method: "GET", TLS: t.tls, Address: t.address, Host: t.host, Target: q.Path,
		Header: append([]h1.Field{{Name: "accept", Value: "application/json"}, {Name: "user-agent", Value: "tailplane"}}, t.fixed...),
	}
	if q.Host != "" {
		req.TLS, req.Address, req.Host = true, net.JoinHostPort(q.Host, "443"), q.Host
	}
	if deadline, ok := ctx.Deadline(); ok {
		req.HeadDeadline, req.ConnectTimeout = deadline, time.Until(deadline)
	}
	if _, f := t.Authorize(ctx, &req, checkCustomer, "", begin); f != nil {
		return Reply{}, f
	}
	resp, err := t.client.Do(ctx, &req)
	if err != nil {
		return Reply{}, Broken(err, llm.FaultFirstToken)
	}
	defer resp.Close()
	out := Reply{Status: resp.Status, Header: resp.Header}
	for len(out.Body) < mostList {
		out.Body = slices.Grow(out.Body, 4<<10)
		n, err := resp.Read(out.Body[len(out.Body):cap(out.Body)])
		out.Body = out.Body[:len(out.Body)+n]
		if err != nil {
			break // one that was cut is no JSON
		}
	}
	return out, nil
}

// Served reads the names in a list of models, in any of the forms that providers
// use. whole is false when it says that there is more; ok when it is no list.
func Served(body []byte) (models []string, whole, ok bool) {
	type item struct{ ID, Name, ModelID, InferenceProfileID string }
	var list struct {
		Data, Models, ModelSummaries, InferenceProfileSummaries, PublisherModels *[]item
		More                                                                     bool   `json:"has_more"`
		Page                                                                     string `json:"nextPageToken"`
		Token                                                                    string `json:"nextToken"`
	}
	var items []item
	if json.Unmarshal(body, &items) == nil { // Together's is a bare array
		ok = true
	} else if json.Unmarshal(body, &list) == nil {
		for _, part := range []*[]item{list.Data, list.Models, list.ModelSummaries, list.InferenceProfileSummaries, list.PublisherModels} {
			if part != nil {
				items, ok = append(items, *part...), true
			}
		}
	}
	for _, m := range items {
		for _, name := range []string{m.ID, m.Name, m.ModelID, m.InferenceProfileID} {
			name = strings.TrimPrefix(name, "models/")
			if name != "" && !slices.Contains(models, name) {
				models = append(models, name)
			}
		}
	}
	return models, !list.More && list.Page == "" && list.Token == "", ok
}

// Lists reports whether a list has a model, under the name that requests use or
// as the newest of that name: providers list dated versions and take names
// without a date, or with "latest" or a variant behind a colon, too.
func Lists(list []string, model string) bool {
	stem, latest := strings.CutSuffix(strings.TrimSuffix(model, "@latest"), "-latest")
	plain, _, variant := strings.Cut(model, ":")
	return slices.ContainsFunc(list, func(name string) bool {
		rest, longer := strings.CutPrefix(name, stem)
		switch {
		case name == model, name == model+":latest", variant && name == plain:
			return true
		case longer && latest:
			return strings.HasPrefix(rest, "-")
		}
		return longer && len(rest) > 1 && (rest[0] == '-' || rest[0] == '@') && dated(rest[1:])
	})
}

// dated reports whether a text is a date as model names have it: 20250929,
// 2025-09-29, 2509 or 001.
func dated(text string) bool {
	digits := strings.ReplaceAll(text, "-", "")
	return (len(digits) == 8 || len(digits) == 4 || len(digits) == 3) && strings.Trim(digits, "0123456789") == ""
}

// limited questions: the largest pages that the providers give.
func anthropicAsks(t *Target) []Question {
	return []Question{{Path: t.prefix + "/models?limit=1000", Lists: true}}
}

func geminiAsks(t *Target) []Question {
	return []Question{{Path: t.prefix + "/models?pageSize=1000", Lists: true}}
}

func cohereAsks(t *Target) []Question {
	return []Question{{Path: "/v1/models?page_size=1000", Lists: true}}
}

// openRouterAsks: its list is open to everybody, so that the key is asked about.
func openRouterAsks(t *Target) []Question {
	return []Question{{Path: t.prefix + "/key"}, {Path: t.prefix + "/models", Lists: true}}
}

func azureAsks(t *Target) []Question {
	const why = "Azure lists the models of the region, not the deployments of the resource"
	if t.ownPath && t.prefix != "/openai" && t.prefix != "/openai/v1" {
		return []Question{{Path: t.prefix + "/models", Partly: why}}
	}
	return []Question{{Path: "/openai/v1/models", Partly: why}}
}

func azureMLAsks(t *Target) []Question {
	return []Question{{Path: azureMLPrefix(t) + "/models", Lists: true}}
}

func vertexAsks(t *Target) []Question {
	return []Question{{Path: "/v1beta1/publishers/google/models?pageSize=1", Partly: "Vertex lists what a publisher offers, not what a region serves"}}
}

// bedrockAsks: the runtime has no list and answers its root with an error that
// says nothing about a model; the control plane of the region lists models and
// inference profiles, unless the target is not AWS's own address.
func bedrockAsks(t *Target) []Question {
	out := []Question{{Path: "/", Partly: "the address is not AWS's own, which has the list of the region's models"}}
	if t.Config.URL == "" {
		control := "bedrock." + t.Config.Region + "." + awsDomain(t.Config.Region)
		out[0].Partly = ""
		out = append(out, Question{Path: "/foundation-models", Host: control, Lists: true, Aside: true},
			Question{Path: "/inference-profiles?maxResults=1000", Host: control, Lists: true, Aside: true})
	}
	return out
}
