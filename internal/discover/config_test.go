package discover

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	cases := []struct {
		name   string
		config Config
		want   []string // where something is wrong, and what in part
	}{
		{"addresses", Config{DNS: DNS{Name: "vllm-headless.models.svc.cluster.local.", Port: 8000}}, nil},
		{"services", Config{DNS: DNS{Name: "_http._tcp.vllm.models.svc", Type: "SRV", NotFound: "failure"}}, nil},
		{"slices of a service", Config{Kubernetes: Kubernetes{Service: "vllm", Port: "http"}}, nil},
		{"slices by labels", Config{Kubernetes: Kubernetes{Namespace: "models", Selector: "app=vllm, tier!=test,gpu in (h100, h200),!old", Port: "8000"}}, nil},
		{"a file", Config{File: File{Path: "replicas.yaml"}, Scheme: "https", Path: "/openai/v1", EmptyGrace: time.Minute}, nil},
		{"two sources", Config{DNS: DNS{Name: "a", Port: 1}, File: File{Path: "x"}}, []string{"d: the section has 2 sources"}},
		{"no source", Config{Scheme: "http"}, []string{"d: the section has 0 sources"}},
		{"no name", Config{DNS: DNS{Port: 1}}, []string{"d.dns.name: \"\" is not a name"}},
		{"a url for a name", Config{DNS: DNS{Name: "http://vllm", Port: 1}}, []string{"d.dns.name: \"http://vllm\" is not a name"}},
		{"no port", Config{DNS: DNS{Name: "vllm"}}, []string{"d.dns.port: 0 is not a port"}},
		{"a port too many", Config{DNS: DNS{Name: "vllm", Type: "SRV", Port: 1}}, []string{"d.dns.port: SRV records bring"}},
		{"no such records", Config{DNS: DNS{Name: "vllm", Type: "TXT", NotFound: "x", Interval: 2 * time.Hour}}, []string{"d.dns.interval: 2h0m0s is out", "d.dns.not_found: \"x\"", "d.dns.type: \"TXT\""}},
		{"neither service nor selector", Config{Kubernetes: Kubernetes{Port: "http"}}, []string{"d.kubernetes: it takes one"}},
		{"both", Config{Kubernetes: Kubernetes{Service: "a", Selector: "b=c"}}, []string{"d.kubernetes: it takes one"}},
		{"names that are none", Config{Kubernetes: Kubernetes{Namespace: "A", Service: "b/c", Port: "70000"}}, []string{"d.kubernetes.namespace: ", "d.kubernetes.port: \"70000\"", "d.kubernetes.service: "}},
		{"a selector that is none", Config{Kubernetes: Kubernetes{Selector: "app = = x"}}, []string{"d.kubernetes.selector: "}},
		{"a file without a path", Config{File: File{Interval: time.Second}}, []string{"d.file: there is no path"}},
		{"odd words", Config{File: File{Path: "x"}, Scheme: "ftp", Path: "v1", EmptyGrace: -1}, []string{"d.empty_grace: ", "d.path: ", "d.scheme: "}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			c.config.Validate("d", func(path, wrong, right string) {
				if right == "" {
					t.Errorf("%s: nothing says what would be right", path)
				}
				got = append(got, path+": "+wrong)
			})
			slices.Sort(got)
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestSourcesAreNamed(t *testing.T) {
	cases := []struct {
		config Config
		want   string
	}{
		{Config{DNS: DNS{Name: "vllm", Port: 1}}, "dns A vllm"},
		{Config{DNS: DNS{Name: "vllm", Type: "SRV"}}, "dns SRV vllm"},
		{Config{File: File{Path: "r.yaml"}}, "file r.yaml"},
		{Config{Kubernetes: Kubernetes{Namespace: "models", Service: "vllm"}}, "endpointslices models/kubernetes.io/service-name=vllm"},
		{Config{Kubernetes: Kubernetes{Selector: "app=vllm"}}, "endpointslices app=vllm"},
	}
	for _, c := range cases {
		if got := c.config.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := (Config{Scheme: "https", Path: "/v2"}).URL("a:1"); got != "https://a:1/v2" {
		t.Errorf("the address is %s", got)
	}
}
