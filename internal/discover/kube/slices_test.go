package kube

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tailplane/internal/discover"
)

// slice writes an EndpointSlice. ports are NAME=NUMBER, endpoints are
// ADDRESS[ POD][ +COND|-COND ...] with the conditions r, s and t.
func slice(name string, family discoveryv1.AddressType, ports []string, endpoints ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "models", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "vllm", "app": "vllm"}},
		AddressType: family,
	}
	for _, p := range ports {
		name, number, _ := strings.Cut(p, "=")
		var n int32
		_, _ = fmt.Sscan(number, &n)
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: new(name), Port: new(n)})
	}
	for _, text := range endpoints {
		words := strings.Fields(text)
		e := discoveryv1.Endpoint{Addresses: words[:1]}
		for _, w := range words[1:] {
			c := &e.Conditions
			field := map[string]**bool{"r": &c.Ready, "s": &c.Serving, "t": &c.Terminating}[w[1:]]
			if field != nil && strings.ContainsAny(w[:1], "+-") {
				*field = new(w[0] == '+')
				continue
			}
			e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: "models", Name: w}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

// said are endpoints as NAME@ADDRESS and the conditions that hold.
func said(list []discover.Endpoint) string {
	var out []string
	for _, e := range list {
		var text strings.Builder
		text.WriteString(e.Name + "@" + e.Address + "/")
		for _, c := range []struct {
			holds bool
			text  string
		}{{e.Ready, "r"}, {e.Serving, "s"}, {e.Terminating, "t"}} {
			if c.holds {
				text.WriteString(c.text)
			}
		}
		out = append(out, text.String())
	}
	return strings.Join(out, " ")
}

const v4, v6 = discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6

func TestEndpointsOfSlices(t *testing.T) {
	http := []string{"http=8000"}
	both := []string{"http=8000", "metrics=9000"}
	cases := []struct {
		name   string
		port   string
		slices []*discoveryv1.EndpointSlice
		want   string // or "! " and the error
	}{
		{"none", "", nil, ""},
		{"the only port", "", []*discoveryv1.EndpointSlice{slice("a", v4, http, "10.0.0.7 vllm-0 +r +s -t")}, "vllm-0@10.0.0.7:8000/rs"},
		{"unknown conditions", "", []*discoveryv1.EndpointSlice{slice("a", v4, http, "10.0.0.7")}, "@10.0.0.7:8000/rs"},
		{"conditions", "http", []*discoveryv1.EndpointSlice{slice(
			"a", v4, both,
			"10.0.0.1 p1 -r +s +t", "10.0.0.2 p2 -r -s +t", "10.0.0.3 p3 -r -s", "10.0.0.4 p4 -r", "10.0.0.5 p5 +r +t",
		)}, "p1@10.0.0.1:8000/st p2@10.0.0.2:8000/t p3@10.0.0.3:8000/ p4@10.0.0.4:8000/ p5@10.0.0.5:8000/rst"},
		{"several slices with ports of their own", "http", []*discoveryv1.EndpointSlice{
			slice("b", v4, []string{"http=8001"}, "10.0.0.8 p2"), slice("a", v4, http, "10.0.0.7 p1"), slice("empty", v4, nil),
		}, "p1@10.0.0.7:8000/rs p2@10.0.0.8:8001/rs"},
		{"a number, declared or not", "7000", []*discoveryv1.EndpointSlice{slice("a", v4, http, "10.0.0.7 p1")}, "p1@10.0.0.7:7000/rs"},
		{"no such port", "grpc", []*discoveryv1.EndpointSlice{slice("a", v4, both, "10.0.0.7 p1")}, `! port "grpc" is none of those of the slices (http, metrics)`},
		{"a port in one slice alone", "metrics", []*discoveryv1.EndpointSlice{slice("a", v4, both, "10.0.0.7 p1"), slice("b", v4, http, "10.0.0.8 p2")}, "p1@10.0.0.7:9000/rs"},
		{"which port?", "", []*discoveryv1.EndpointSlice{slice("a", v4, both, "10.0.0.7 p1")}, "! the slices do not have one port but (http, metrics); say which with `port:`"},
		{"both families are one replica", "", []*discoveryv1.EndpointSlice{
			slice("six", v6, http, "fd00::7 p1", "fd00::9 p3"), slice("z", v4, http, "10.0.0.7 p1"),
		}, "p1@10.0.0.7:8000/rs p3@[fd00::9]:8000/rs"},
		{"moved from slice to slice", "", []*discoveryv1.EndpointSlice{
			slice("a", v4, http, "10.0.0.7 p1 -r"), slice("b", v4, http, "10.0.0.7 p1 +r"),
		}, "p1@10.0.0.7:8000/rs"},
		{"a pod that came back under its name", "", []*discoveryv1.EndpointSlice{
			slice("a", v4, http, "10.0.0.7 vllm-0 -r +s +t"), slice("b", v4, http, "10.0.0.9 vllm-0 +r"),
		}, "vllm-0@10.0.0.9:8000/rs"},
		{"without an address", "", []*discoveryv1.EndpointSlice{{Ports: slice("", v4, http).Ports, Endpoints: []discoveryv1.Endpoint{{}}}}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			list, err := Endpoints(c.slices, c.port)
			got := said(list)
			if err != nil {
				got = "! " + err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhereAnEndpointRuns(t *testing.T) {
	s := slice("a", v4, []string{"http=8000"}, "10.0.0.7 p1")
	s.Endpoints[0].Zone, s.Endpoints[0].NodeName = new("eu-1a"), new("gpu-3")
	list, err := Endpoints([]*discoveryv1.EndpointSlice{s}, "")
	if err != nil || list[0].Zone != "eu-1a" || list[0].Node != "gpu-3" {
		t.Errorf("%+v, %v", list, err)
	}
}
