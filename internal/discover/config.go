package discover

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/egress"
)

// Config is the `discover:` section of a target: where its replicas are found,
// in place of a url. It has exactly one source. Two equal ones are the same
// source.
type Config struct {
	DNS        DNS        `yaml:"dns"`
	Kubernetes Kubernetes `yaml:"kubernetes"`
	File       File       `yaml:"file"`
	// Scheme and Path are what an address lacks of a URL: http or https, and the
	// path below which the API lies; empty is http, and the kind's own path.
	Scheme string `yaml:"scheme"`
	Path   string `yaml:"path"`
	// EmptyGrace is how long an answer without a usable replica is not believed
	// when there were some before; zero is half a minute.
	EmptyGrace time.Duration `yaml:"empty_grace"`
}

// DNS finds replicas behind a name, such as a headless service.
type DNS struct {
	Name string `yaml:"name"`
	// Port is theirs; SRV records bring their own.
	Port int `yaml:"port"`
	// Type is A (also when empty), AAAA or SRV.
	Type string `yaml:"type"`
	// Interval is the time between two looks; zero is ten seconds.
	Interval time.Duration `yaml:"interval"`
	// NotFound says what it means that the name does not exist: "empty" (there is
	// no replica; also when empty) or "failure" (the last answer stays).
	NotFound string `yaml:"not_found"`
}

// Kubernetes finds replicas in EndpointSlices.
type Kubernetes struct {
	// Namespace is theirs; empty is the one that the client itself is in.
	Namespace string `yaml:"namespace"`
	// Service is the name of the service that the slices belong to; Selector
	// chooses them by label instead. Slices have the labels of their service.
	Service  string `yaml:"service"`
	Selector string `yaml:"selector"`
	// Port is the name or number of the port; empty when there is only one.
	Port string `yaml:"port"`
	// Kubeconfig is the file by which a cluster is reached from outside; empty is
	// the cluster around, else the file that KUBECONFIG names.
	Kubeconfig string `yaml:"kubeconfig"`
}

// File finds replicas in a file of YAML or JSON, which is watched.
type File struct {
	Path string `yaml:"path"`
	// Interval is the time between two looks; zero is a second.
	Interval time.Duration `yaml:"interval"`
}

// Defaults.
const (
	defaultGrace        = 30 * time.Second
	defaultDNSInterval  = 10 * time.Second
	defaultFileInterval = time.Second
)

// serviceLabel is on every slice of a service.
const serviceLabel = "kubernetes.io/service-name"

// IsZero reports whether the target is not discovered.
func (c Config) IsZero() bool { return c == Config{} }

// Grace is EmptyGrace, or its default.
func (c Config) Grace() time.Duration { return cmp.Or(c.EmptyGrace, defaultGrace) }

// Labels is the label selector of the slices.
func (k Kubernetes) Labels() string {
	if k.Service == "" {
		return k.Selector
	}
	return serviceLabel + "=" + k.Service
}

// URL is the address of a replica as a target has it.
func (c Config) URL(address string) string {
	return cmp.Or(c.Scheme, "http") + "://" + address + c.Path
}

// String names the source, as people read it.
func (c Config) String() string {
	switch {
	case c.DNS != DNS{}:
		return "dns " + cmp.Or(c.DNS.Type, "A") + " " + c.DNS.Name
	case c.File != File{}:
		return "file " + c.File.Path
	}
	return "endpointslices " + strings.TrimPrefix(c.Kubernetes.Namespace+"/", "/") + c.Kubernetes.Labels()
}

// Destinations are what a reader of the config should expect a target to be
// reached at, before its replicas are known. Those of an API server are package
// kube's.
func (c Config) Destinations(target string) []egress.Destination {
	if c.DNS.Name == "" || c.DNS.Port == 0 {
		return nil
	}
	return []egress.Destination{{Address: net.JoinHostPort(strings.TrimSuffix(c.DNS.Name, "."), strconv.Itoa(c.DNS.Port)), Why: "target " + target}}
}

// Reporter takes a problem: where it is, what is wrong, what would be right.
type Reporter = func(path, wrong, right string)

// Validate reports every problem of the section, which stands at path.
func (c Config) Validate(path string, report Reporter) {
	sources := 0
	for _, given := range []bool{c.DNS != DNS{}, c.Kubernetes != Kubernetes{}, c.File != File{}} {
		if given {
			sources++
		}
	}
	if sources != 1 {
		report(path, fmt.Sprintf("the section has %d sources", sources), "write exactly one of dns, kubernetes and file")
	}
	if c.DNS != (DNS{}) {
		c.DNS.validate(path+".dns", report)
	}
	if c.Kubernetes != (Kubernetes{}) {
		c.Kubernetes.validate(path+".kubernetes", report)
	}
	if c.File != (File{}) {
		if c.File.Path == "" {
			report(path+".file", "there is no path", "add `path:` of a file with a list of addresses")
		}
		span(path+".file.interval", c.File.Interval, report)
	}
	if c.Scheme != "" && c.Scheme != "http" && c.Scheme != "https" {
		report(path+".scheme", fmt.Sprintf("%q is not a choice", c.Scheme), "use http or https")
	}
	if c.Path != "" && !urlPath.MatchString(c.Path) {
		report(path+".path", fmt.Sprintf("%q is not a path", c.Path), "write it with a slash in front, such as /v1")
	}
	span(path+".empty_grace", c.EmptyGrace, report)
}

// What may stand in names that become part of addresses and queries.
var (
	urlPath  = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+/?$`)
	hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?$`)
	kubeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	// selection is a label selector: KEY, !KEY, KEY=VALUE, KEY!=VALUE and
	// KEY in (A, B), separated by commas.
	selection = regexp.MustCompile(`^` + requirement + `(\s*,\s*` + requirement + `)*$`)
)

const requirement = `(!?[A-Za-z0-9][A-Za-z0-9./_-]*|[A-Za-z0-9][A-Za-z0-9./_-]*\s*(=|==|!=)\s*[A-Za-z0-9._-]*|[A-Za-z0-9][A-Za-z0-9./_-]*\s+(in|notin)\s+\([A-Za-z0-9., _-]*\))`

func (d DNS) validate(path string, report Reporter) {
	if len(d.Name) > 253 || !hostName.MatchString(d.Name) {
		report(path+".name", fmt.Sprintf("%q is not a name that DNS could know", d.Name), "write one such as vllm-headless.models.svc")
	}
	switch d.Type {
	case "", "A", "AAAA":
		if d.Port < 1 || d.Port > 65535 {
			report(path+".port", fmt.Sprintf("%d is not a port", d.Port), "add the port on which replicas listen, such as `port: 8000`")
		}
	case "SRV":
		if d.Port != 0 {
			report(path+".port", "SRV records bring their own ports", "remove it")
		}
	default:
		report(path+".type", fmt.Sprintf("%q is not a choice", d.Type), "use A, AAAA or SRV")
	}
	if d.NotFound != "" && d.NotFound != "empty" && d.NotFound != "failure" {
		report(path+".not_found", fmt.Sprintf("%q is not a choice", d.NotFound), "use empty or failure")
	}
	span(path+".interval", d.Interval, report)
}

func (k Kubernetes) validate(path string, report Reporter) {
	if (k.Service == "") == (k.Selector == "") {
		report(path, "it takes one of service and selector to find slices", "write `service: NAME`, or `selector: app=NAME`")
	}
	for _, f := range []struct{ name, value string }{{"namespace", k.Namespace}, {"service", k.Service}} {
		if f.value != "" && !kubeName.MatchString(f.value) {
			report(path+"."+f.name, fmt.Sprintf("%q cannot be a name in Kubernetes", f.value), "use lower case letters, digits and dashes")
		}
	}
	if k.Selector != "" && !selection.MatchString(k.Selector) {
		report(path+".selector", fmt.Sprintf("%q is not a label selector", k.Selector), "write one such as app=vllm,tier!=test")
	}
	if n, err := strconv.Atoi(k.Port); err == nil && (n < 1 || n > 65535) || err != nil && k.Port != "" && !kubeName.MatchString(k.Port) {
		report(path+".port", fmt.Sprintf("%q is neither the name nor the number of a port", k.Port), "write one such as http or 8000")
	}
}

func span(path string, d time.Duration, report Reporter) {
	if d != 0 && (d < time.Millisecond || d > time.Hour) {
		report(path, fmt.Sprintf("%v is out of range", d), "use 1ms to 1h")
	}
}

// With is what sources are made with. What is not needed may be nil.
type With struct {
	Resolver Resolver
	// Decode reads the text of a file; its error says where and what is wrong.
	Decode func(name string, text []byte) ([]Item, error)
	// Kubernetes makes the source of EndpointSlices.
	Kubernetes func(k Kubernetes) (Discoverer, error)
}

// New makes the source of a valid config. It asks nobody.
func (c Config) New(w With) (Discoverer, error) {
	switch {
	case c.DNS != DNS{}:
		return &dns{config: c.DNS, resolver: w.Resolver}, nil
	case c.File != File{}:
		return &watched{config: c.File, read: os.ReadFile, decode: w.Decode}, nil
	}
	return w.Kubernetes(c.Kubernetes)
}
