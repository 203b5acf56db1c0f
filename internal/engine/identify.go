package engine

import (
	"encoding/json"
	"slices"
	"strings"
)

// Ports are where engines are looked for, each once.
func Ports() []int {
	var out []int
	for _, e := range Engines() {
		if e.Port != 0 {
			out = append(out, e.Port)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Found is an engine that answered.
type Found struct {
	Kind   string
	Port   int
	Models []string
}

// mostModels bounds what is taken from one list.
const mostModels = 200

// Identify reads the answer to GET /v1/models from a port. ok is false when it
// is not the list of an OpenAI-compatible server: then something else listens
// there, and is left alone. server is the Server header.
func Identify(port int, server string, body []byte) (Found, bool) {
	var list struct {
		Object string `json:"object"`
		Data   []struct {
			ID      string `json:"id"`
			OwnedBy string `json:"owned_by"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &list) != nil || list.Data == nil && list.Object != "list" {
		return Found{}, false
	}
	f := Found{Kind: "openai-compatible", Port: port}
	for _, e := range Engines() {
		if e.Port == port && f.Kind == "openai-compatible" {
			f.Kind = e.Kind
		}
	}
	owners := []string{server}
	for _, m := range list.Data[:min(len(list.Data), mostModels)] {
		if m.ID == "" || len(m.ID) > 200 {
			continue
		}
		f.Models = append(f.Models, m.ID)
		owners = append(owners, m.OwnedBy)
	}
	owner := strings.ToLower(strings.Join(owners, " "))
	if strings.Contains(owner, "tailplane") {
		return Found{}, false // a gateway of ours, not an engine
	}
	for _, e := range Engines() {
		if e.Owner != "" && strings.Contains(owner, e.Owner) || strings.Contains(owner, "llama.cpp") && e.Kind == "llamacpp" {
			f.Kind = e.Kind
		}
	}
	return f, true
}
