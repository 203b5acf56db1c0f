package engine

import (
	"fmt"
	"testing"
)

func TestIdentifyGoesByTheAnswerAndNotByThePort(t *testing.T) {
	cases := []struct {
		name   string
		port   int
		server string
		body   string
		want   string
	}{
		{"vLLM at home", 8000, "uvicorn", `{"object":"list","data":[{"id":"meta/llama","object":"model","owned_by":"vllm"}]}`, "vllm [meta/llama]"},
		{"SGLang on vLLM's port", 8000, "uvicorn", `{"object":"list","data":[{"id":"qwen","owned_by":"sglang"}]}`, "sglang [qwen]"},
		{"llama.cpp by its header", 9000, "llama.cpp", `{"object":"list","data":[{"id":"x"}]}`, "llamacpp [x]"},
		{"Ollama", 11434, "", `{"object":"list","data":[{"id":"qwen3:8b","owned_by":"library"},{"id":"nomic","owned_by":"library"}]}`, "ollama [qwen3:8b nomic]"},
		{"Ollama without a model", 11434, "", `{"object":"list","data":null}`, "ollama []"},
		{"LM Studio", 1234, "", `{"data":[{"id":"a","owned_by":"organization_owner"}],"object":"list"}`, "lmstudio [a]"},
		{"ourselves", 8000, "", `{"object":"list","data":[{"id":"a","owned_by":"tailplane"}]}`, ""},
		{"some web server", 8080, "nginx", `<html>hello</html>`, ""},
		{"some JSON server", 8080, "", `{"status":"ok"}`, ""},
		{"an error", 8080, "", `{"error":"not found"}`, ""},
	}
	for _, c := range cases {
		got := ""
		if f, ok := Identify(c.port, c.server, []byte(c.body)); ok {
			got = fmt.Sprint(f.Kind, " ", f.Models)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add(8000, "x", []byte(`{"object":"list","data":[{"id":"a"}]}`))
	f.Fuzz(func(t *testing.T, port int, server string, body []byte) {
		if found, ok := Identify(port, server, body); ok && (found.Kind == "" || len(found.Models) > mostModels) {
			t.Fatalf("%+v", found)
		}
	})
}
