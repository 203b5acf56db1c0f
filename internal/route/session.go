package route

// session keeps what belongs together on one replica, by rendezvous hashing of
// the caller's session (Thaler and Ravishankar, 1998): when a replica goes, its
// sessions alone move. Requests without a session go to the least loaded.
type session struct{}

// Rank is by the hash of session and replica.
func (session) Rank(q *Query, rs []Replica) Why {
	if q.Session == 0 {
		return leastRequest{}.Rank(q, rs)
	}
	for i := range rs {
		rs[i].Cost = chance(q.Session, rs[i].Key)
	}
	return "the replica of its session"
}
