package route

// lowestCost asks where the request is expected to cost the least, by the price
// book; of those that cost the same the one with the least in flight.
type lowestCost struct{}

// Rank is by price. A difference of one request in flight counts as a tenth of a
// nano-dollar: less than any price.
func (lowestCost) Rank(_ *Query, rs []Replica) Why {
	for i := range rs {
		rs[i].Cost = rs[i].Price + 1e-10*float64(rs[i].InFlight)
	}
	return "the lowest price"
}
