package prefix

// heads are the last checkpoints of prompts that other gateways sent, of all
// replicas in one place: a chain is compared with them once, whatever number of
// replicas is asked for. It is a cache of fixed size, whose sets forget what was
// said least recently; what is lost costs a miss.
//
// A head grows old with its replica: its tick says when it was said, and the
// replica which ticks it has forgotten.
type heads struct {
	sets []set // none until there is a head
	n    int   // heads that are there, also old ones

	// What the last chain that was asked for met, the longest first. Its last
	// hash names the chain.
	asked uint64
	met   []head
}

const (
	headSets = 1 << 12
	headWays = 4
)

type set [headWays]head

type head struct {
	hash    uint64 // 0 if there is none
	replica int32
	end     int32
	tick    uint32
}

// put adds a head, or makes one that is there the newest of its set.
func (h *heads) put(one head) {
	if h.sets == nil {
		h.sets = make([]set, headSets)
	}
	h.asked = 0
	s := &h.sets[one.hash%headSets]
	last := 0
	for last < headWays-1 && s[last].hash != 0 && (s[last].hash != one.hash || s[last].replica != one.replica) {
		last++
	}
	if s[last].hash == 0 {
		h.n++
	}
	copy(s[1:last+1], s[:last])
	s[0] = one
}

// meet returns the heads at which the chain passes, the longest first.
func (h *heads) meet(marks []Mark) []head {
	if h.n == 0 || len(marks) == 0 {
		return nil
	}
	asked := marks[len(marks)-1].Hash
	if asked == h.asked && asked != 0 {
		return h.met
	}
	h.met = h.met[:0]
	for i := len(marks) - 1; i >= 0; i-- {
		hash := marks[i].Hash
		for _, one := range &h.sets[hash%headSets] {
			if one.hash == hash && int(one.end) == marks[i].End && hash != 0 {
				h.met = append(h.met, one)
			}
		}
	}
	h.asked = asked
	return h.met
}
