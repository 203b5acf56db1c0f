package route

// p2c draws two different replicas and asks the one with less in flight: the
// power of two choices (Mitzenmacher, 2001). The others follow by what they have
// in flight.
type p2c struct{}

// Rank puts the two that were drawn first.
func (p2c) Rank(q *Query, rs []Replica) Why {
	n := uint64(len(rs))
	a, b := q.Roll%n, uint64(0)
	if n > 1 {
		b = mix(q.Roll) % (n - 1)
		if b >= a {
			b++
		}
	}
	for i := range rs {
		rs[i].Cost = float64(rs[i].InFlight) + chance(q.Roll, rs[i].Key)
		if at := uint64(i); at != a && at != b {
			rs[i].Cost += undrawn
		}
	}
	return "less in flight of two that were drawn"
}

// undrawn is more than any replica has in flight.
const undrawn = 1 << 40
