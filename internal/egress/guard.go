package egress

import "net/netip"

// guard is a range of addresses that the policy lets nobody reach by accident,
// whatever its default is.
type guard struct {
	prefix netip.Prefix
	what   string
}

// guards are the ranges, in the order in which they are asked: the smaller
// before those that hold them. Sources: the clouds' own documentation of their
// metadata services; RFC 3927 and RFC 4291 for the link-local ranges.
var guards = []guard{
	{netip.MustParsePrefix("169.254.169.254/32"), "the metadata address of most clouds"},
	{netip.MustParsePrefix("169.254.170.2/32"), "the address of container credentials at AWS"},
	{netip.MustParsePrefix("169.254.170.23/32"), "the address of pod identities at AWS"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "the metadata address of AWS"},
	{netip.MustParsePrefix("fd00:ec2::23/128"), "the address of pod identities at AWS"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "the metadata address of Google Cloud"},
	{netip.MustParsePrefix("100.100.100.200/32"), "the metadata address of Alibaba Cloud"},
	{netip.MustParsePrefix("192.0.0.192/32"), "the metadata address of Oracle Cloud"},
	{netip.MustParsePrefix("168.63.129.16/32"), "the wire server of Azure"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{loopback4, "this machine itself"},
	{loopback6, "this machine itself"},
	{netip.MustParsePrefix("0.0.0.0/8"), "this machine itself"}, // where a connect to 0.0.0.0 ends
	{netip.MustParsePrefix("::/128"), "this machine itself"},
}

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)

// metadataNames are names behind which a metadata service is expected.
var metadataNames = map[string]bool{
	"metadata.google.internal": true, "metadata": true, "metadata.goog": true,
	"instance-data": true, "instance-data.ec2.internal": true, "metadata.azure.internal": true,
}

// plainAddr is the address that packets to ip arrive at: without a zone, and
// IPv4 where IPv6 only carries it (mapped, or NAT64 of RFC 6052).
func plainAddr(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// guardOf is the guard of an address.
func guardOf(ip netip.Addr) (guard, bool) {
	for _, g := range guards {
		if g.prefix.Contains(ip) {
			return g, true
		}
	}
	return guard{}, false
}

// local reports whether the guard is there for the machine's own services.
func (g guard) local() bool { return g.prefix == loopback4 || g.prefix == loopback6 }

// within reports whether a prefix lies in the guard's own: only then does it
// name what is guarded, and does not merely happen to hold it.
func (g guard) within(p netip.Prefix) bool {
	return p.IsValid() && p.Bits() >= g.prefix.Bits() && g.prefix.Contains(p.Addr())
}
