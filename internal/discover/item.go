package discover

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
)

// Item is an entry of a watched file: a bare address, or a block of an address,
// or of several (Targets), with what is said of them.
type Item struct {
	Address string   `yaml:"address"` // host:port
	Targets []string `yaml:"targets"`
	Name    string   `yaml:"name"`   // of one address; empty makes one from it
	Weight  int      `yaml:"weight"` // share among its neighbours; 0 counts as 1
	// Draining says that it is about to go: what runs there may end, nothing
	// new is sent.
	Draining bool     `yaml:"draining"`
	Zone     string   `yaml:"zone"`
	Node     string   `yaml:"node"`
	Labels   []string `yaml:"labels"` // beside those of the target
}

// UnmarshalText reads the bare form.
func (i *Item) UnmarshalText(text []byte) error {
	i.Address = string(text)
	return nil
}

// label is what a target may have as one, too.
var label = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// mostWeight bounds weights, so that sums of products of them fit.
const mostWeight = 65535

// Endpoints are what the entries of a file say; every problem is reported.
func Endpoints(items []Item, report Reporter) []Endpoint {
	var out []Endpoint
	for n, item := range items {
		path := fmt.Sprintf("[%d]", n)
		addresses := slices.Clone(item.Targets)
		if item.Address != "" {
			addresses = append(addresses, item.Address)
		}
		switch {
		case len(addresses) == 0:
			report(path, "the entry has no address", "write HOST:PORT, or {address: HOST:PORT, ...}")
		case item.Name != "" && len(addresses) > 1:
			report(path+".name", "several addresses cannot have one name", "write an entry for each")
		}
		if item.Weight < 0 || item.Weight > mostWeight {
			report(path+".weight", fmt.Sprintf("%d is out of range", item.Weight), fmt.Sprintf("use 1 to %d, or leave it out", mostWeight))
		}
		for i, l := range item.Labels {
			if !label.MatchString(l) {
				report(fmt.Sprintf("%s.labels[%d]", path, i), fmt.Sprintf("%q is no label", l), "use lower-case letters, digits, dots, dashes and underscores, such as eu")
			}
		}
		for _, address := range addresses {
			if err := checkAddress(address); err != nil {
				report(path, err.Error(), "write HOST:PORT, such as 10.0.0.7:8000")
				continue
			}
			out = append(out, Endpoint{
				Address: address, Name: item.Name, Ready: !item.Draining, Serving: true, Terminating: item.Draining,
				Weight: item.Weight, Zone: item.Zone, Node: item.Node, Labels: slices.Clone(item.Labels),
			})
		}
	}
	return out
}

// checkAddress accepts host:port of a name or a literal address.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address with a port", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port", port)
	}
	if _, err := netip.ParseAddr(host); err != nil && (len(host) > 253 || !hostName.MatchString(host)) {
		return fmt.Errorf("%q is neither a name nor an address", host)
	}
	return nil
}
