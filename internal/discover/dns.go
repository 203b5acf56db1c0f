package discover

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// lookupTime bounds one look.
const lookupTime = 5 * time.Second

// dns asks for a name again and again. The resolver does not tell how long an
// answer may be kept, so the interval decides.
type dns struct {
	config   DNS
	resolver Resolver
}

func (d *dns) Run(ctx context.Context, up chan<- Answer) error {
	tick := time.NewTicker(cmp.Or(d.config.Interval, defaultDNSInterval))
	defer tick.Stop()
	for {
		a := d.look(ctx)
		if ctx.Err() != nil || !send(ctx, up, a) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look asks once. That the name does not exist, and that it has no records, are
// the same answer of the resolver; NotFound says what to make of it.
func (d *dns) look(ctx context.Context) Answer {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var list []Endpoint
	var err error
	if d.config.Type == "SRV" {
		list, err = d.services(ctx)
	} else {
		list, err = d.addresses(ctx)
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound && d.config.NotFound != "failure" {
		list, err = nil, nil
	}
	return Answer{list, err, time.Now()}
}

func (d *dns) addresses(ctx context.Context) ([]Endpoint, error) {
	network := "ip4"
	if d.config.Type == "AAAA" {
		network = "ip6"
	}
	found, err := d.resolver.LookupNetIP(ctx, network, d.config.Name)
	if err != nil {
		return nil, err
	}
	var list []Endpoint
	for _, ip := range found {
		address := net.JoinHostPort(ip.Unmap().String(), strconv.Itoa(d.config.Port))
		list = append(list, Endpoint{Address: address, Ready: true, Serving: true})
	}
	return list, nil
}

// services reads SRV records: each brings its port, its weight, and a priority,
// of which the lowest is asked first. The names that they lead to are looked up
// when they are dialed, like every other.
func (d *dns) services(ctx context.Context) ([]Endpoint, error) {
	_, records, err := d.resolver.LookupSRV(ctx, "", "", d.config.Name)
	if len(records) == 0 {
		return nil, err // with records, the error is about others, which are left out
	}
	var priorities []uint16
	weighted := false
	for _, r := range records {
		priorities = append(priorities, r.Priority)
		weighted = weighted || r.Weight > 0
	}
	slices.Sort(priorities)
	priorities = slices.Compact(priorities)
	var list []Endpoint
	for _, r := range records {
		host := strings.TrimSuffix(r.Target, ".")
		if host == "" || r.Port == 0 {
			continue // RFC 2782: the service is decidedly not here
		}
		port := strconv.Itoa(int(r.Port))
		label, _, _ := strings.Cut(host, ".")
		e := Endpoint{Address: net.JoinHostPort(host, port), Name: label + "-" + port, Ready: true, Serving: true}
		if _, err := netip.ParseAddr(host); err == nil {
			e.Name = ""
		}
		if weighted {
			e.Weight = max(1, int(r.Weight)) // 0 beside others is a very small share
		}
		e.Rank, _ = slices.BinarySearch(priorities, r.Priority)
		list = append(list, e)
	}
	return list, nil
}
