// Package engine knows the servers that run models on somebody's own hardware:
// where they listen and how to tell one from another.
//
// It owns the table of engines ([Engines]) and the reading of what they answer
// ([Identify]). It never opens a connection.
//
// Start reading at [Engines].
package engine

import (
	"encoding/json"
	"slices"
	"strings"
)

// Engine is one kind of server.
type Engine struct {
	Kind string // as package upstream names it
	Port int    // where it listens unless told otherwise
	// Owner is what its model list says in owned_by, where that tells it.
	Owner string
}

// Engines is the table. Several engines share a default port, so a port alone
// tells nothing: an engine is known by what it answers there.
//
// Ports and owned_by values: each engine's own documentation and server source.
func Engines() []Engine {
	return []Engine{
		{"vllm", 8000, "vllm"},
		{"triton", 9000, "triton"},
		{"llamacpp", 8080, "llamacpp"},
		{"tgi", 3000, "tgi"},
		{"sglang", 30000, "sglang"},
		{"lmdeploy", 23333, "lmdeploy"},
		{"ollama", 11434, "library"},
		{"lmstudio", 1234, "organization_owner"},
		{"tensorrt-llm", 8001, "tensorrt_llm"},
	}
}

// Ports are where engines are looked for, each once.
func Ports() []int {
	var out []int
	for _, e := range Engines() {
		out = append(out, e.Port)
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
		if strings.Contains(owner, e.Owner) || strings.Contains(owner, "llama.cpp") && e.Kind == "llamacpp" {
			f.Kind = e.Kind
		}
	}
	return f, true
}
