package kube

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"

	"tailplane/internal/discover"
)

// Endpoints are the replicas of slices at a port: its name, its number, or empty
// for the only one that there is.
//
// The same replica stands in several slices where a service has both families of
// addresses, and for a moment when it is moved from one slice to another: it is
// one endpoint, by its pod's name. The description that is ready counts, and of
// two such the one of the better family. A number holds whether the service
// declares it or not.
func Endpoints(list []*discoveryv1.EndpointSlice, port string) ([]discover.Endpoint, error) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b *discoveryv1.EndpointSlice) int {
		return cmp.Or(family(a.AddressType)-family(b.AddressType), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	var out []discover.Endpoint
	at := map[string]int{} // pod, or address, to its place in out
	ports := map[string]bool{}
	found, lost := false, false
	for _, s := range list {
		if len(s.Endpoints) == 0 {
			continue // a slice without endpoints has no ports either
		}
		number, ok := portOf(s.Ports, port, ports)
		if !ok {
			lost = true
			continue
		}
		found = true
		for _, e := range s.Endpoints {
			one, identity := endpoint(e, number)
			if one.Address == "" {
				continue
			}
			i, twice := at[identity]
			switch {
			case !twice:
				at[identity] = len(out)
				out = append(out, one)
			case one.Ready && !out[i].Ready:
				out[i] = one
			}
		}
	}
	if lost && !found {
		there := strings.Join(slices.Sorted(maps.Keys(ports)), ", ")
		if port == "" {
			return nil, fmt.Errorf("the slices do not have one port but (%s); say which with `port:`", there)
		}
		return nil, fmt.Errorf("port %q is none of those of the slices (%s)", port, there)
	}
	return out, nil
}

// family ranks address types.
func family(t discoveryv1.AddressType) int {
	switch t {
	case discoveryv1.AddressTypeIPv4:
		return 0
	case discoveryv1.AddressTypeIPv6:
		return 1
	}
	return 2
}

// portOf is the number of the port that is asked for, and notes in seen which
// there are.
func portOf(list []discoveryv1.EndpointPort, port string, seen map[string]bool) (int32, bool) {
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		return int32(n), true
	}
	var numbers []int32
	for _, p := range list {
		if p.Port == nil {
			continue // every port: only a number can choose
		}
		name := ""
		if p.Name != nil {
			name = *p.Name
		}
		seen[cmp.Or(name, strconv.Itoa(int(*p.Port)))] = true
		if port == "" || name == port {
			numbers = append(numbers, *p.Port)
		}
	}
	if len(numbers) != 1 {
		return 0, false
	}
	return numbers[0], true
}

// endpoint reads one endpoint; identity is the same for all descriptions of it.
// An unknown condition means: ready; serving as ready; not terminating.
func endpoint(e discoveryv1.Endpoint, port int32) (one discover.Endpoint, identity string) {
	if len(e.Addresses) == 0 {
		return one, ""
	}
	c := e.Conditions
	one.Address = net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(port)))
	one.Ready = c.Ready == nil || *c.Ready
	one.Serving = c.Serving == nil && one.Ready || c.Serving != nil && *c.Serving
	one.Terminating = c.Terminating != nil && *c.Terminating
	identity = one.Address
	if e.Zone != nil {
		one.Zone = *e.Zone
	}
	if e.NodeName != nil {
		one.Node = *e.NodeName
	}
	if r := e.TargetRef; r != nil && r.Kind == "Pod" && r.Name != "" {
		one.Name, identity = r.Name, r.Namespace+"/"+r.Name
	}
	return one, identity
}
