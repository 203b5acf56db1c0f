// Package route decides which target a request goes to and what follows when
// that fails.
//
// It owns decisions, and what they are learned from: [Order] ranks the candidates
// of a request, [After] says what to do about a fault, and a [Group] ranks the
// replicas of one model by a [Policy] (one file each) and by what it was told of
// them. All take facts, and time and chance as arguments, and return a value that
// says why. Nothing here does I/O or reads a clock; a Group alone keeps state.
//
// Start reading at [Order], then [Group.Pick] and auto.go.
package route

import (
	"slices"
	"time"
)

// View is what is known about one candidate when a request is routed.
type View struct {
	Group    int           // asked only when the groups before it have failed
	Weight   int           // share within the group; 0 counts as 1
	Ranked   Why           // a policy has ranked its group, with this reason; empty draws by weight
	Rank     int           // its place then
	InFlight int64         // requests at the target now
	Wait     time.Duration // the target must not be asked before
	Broken   bool          // the breaker keeps traffic off
	Full     bool          // it has as many requests as its limit allows
	Spills   bool          // more of its capacity is in use than it may
	Prefer   bool          // those of its group with more Headroom come first
	Headroom float64       // what is left of its limits and its capacity, 0 to 1
	Cannot   string        // why it cannot serve this request at all; empty when it can
	// Reserved: only a fault leads to it (Reserve says of which kinds); it is
	// never asked because those before it are not ready.
	Reserved bool
}

// Ready reports whether a candidate may be asked at once.
func (v *View) Ready() bool { return v.Wait <= 0 && !v.Broken && !v.Full && !v.Spills }

// Not says why a candidate is not asked at once; empty when it may be.
func (v *View) Not() string {
	switch {
	case v.Cannot != "":
		return v.Cannot
	case v.Reserved:
		return "it is asked after other faults only"
	case v.Broken:
		return "it is left alone after failures"
	case v.Wait > 0:
		return "it demands a wait of " + v.Wait.Round(time.Millisecond).String()
	case v.Full:
		return "it has as many requests as it may"
	case v.Spills:
		return "its capacity is used up"
	}
	return ""
}

// Why says how the first candidate was chosen. Its text is shown to people.
type Why string

// The reasons.
const (
	WhyOnly     Why = "the only candidate"
	WhyFirst    Why = "first of its route"
	WhyWeighted Why = "drawn by weight"
	WhyHeadroom Why = "the most left of its limits"
	WhyFallback Why = "those before it are cooling down, broken or full"
	WhySpill    Why = "spill: the capacity of those before it is used up"
	WhyLastHope Why = "nothing is ready; the least bad is asked"
	WhyNobody   Why = "no candidate can serve this request"
)

// Order appends to order the indexes of the candidates that can serve the
// request, in the order in which to ask them, and says why the first one is
// first.
//
// Candidates that are ready come first, group by group; within a group the
// first is drawn by weight and the rest follow as they stand, or a policy has
// ranked all of them; where headroom is preferred, it ranks the group first,
// and the draw is among those with the most. Then those that are not ready, as a
// last hope: broken, full or spilling ones before those that demand a wait,
// shorter waits first. Reserved ones stand behind all others and are never
// first. roll is 64 random bits.
func Order(order []int, views []View, roll uint64) ([]int, Why) {
	able := 0
	for i := range views {
		if views[i].Able() {
			able++
		}
	}
	if able == 0 {
		return order, WhyNobody
	}
	order, why := orderAble(order, views, able, roll)
	for i := range views {
		if v := &views[i]; v.Cannot == "" && v.Reserved {
			order = append(order, i)
		}
	}
	return order, why
}

// Able reports whether a candidate may be asked without a fault before.
func (v *View) Able() bool { return v.Cannot == "" && !v.Reserved }

// orderAble is Order for the able ones.
func orderAble(order []int, views []View, able int, roll uint64) ([]int, Why) {
	start := len(order)
	for i := range views {
		if v := &views[i]; v.Able() && v.Ready() {
			order = append(order, i)
		}
	}
	ready := len(order) - start
	for i := range views {
		if v := &views[i]; v.Able() && !v.Ready() {
			order = append(order, i)
		}
	}
	sortUnready(order[start+ready:], views)
	if ready == 0 {
		return order, WhyLastHope
	}
	why := WhyFirst
	for at := start; at < start+ready; {
		end := at + 1
		for end < start+ready && views[order[end]].Group == views[order[at]].Group {
			end++
		}
		w := draw(order[at:end], views, roll)
		if at == start {
			why = w
		}
		at, roll = end, mix(roll)
	}
	switch {
	case able == 1:
		why = WhyOnly
	case views[order[start]].Group > firstGroup(views) || why == WhyFirst && ready < able:
		why = passedOver(views, views[order[start]].Group, why)
	}
	return order, why
}

// passedOver says why those that come before the chosen one, or beside it, were
// not: for their capacity alone, or for other reasons as well. It is why where
// there were none.
func passedOver(views []View, group int, why Why) Why {
	for i := range views {
		v := &views[i]
		switch {
		case v.Cannot != "" || v.Group > group || v.Ready():
		case v.Wait > 0 || v.Broken || v.Full:
			return WhyFallback
		default:
			why = WhySpill
		}
	}
	return why
}

// firstGroup is the lowest group that can serve the request at all.
func firstGroup(views []View) int {
	group := int(^uint(0) >> 1)
	for i := range views {
		if views[i].Able() {
			group = min(group, views[i].Group)
		}
	}
	return group
}

// draw brings the chosen member of a group to its front.
func draw(group []int, views []View, roll uint64) Why {
	if len(group) == 1 {
		return WhyFirst
	}
	if views[group[0]].Prefer {
		if most := byHeadroom(group, views); most < len(group) {
			draw(group[:most], views, roll)
			return WhyHeadroom
		}
	}
	if by := views[group[0]].Ranked; by != "" {
		slices.SortStableFunc(group, func(a, b int) int { return views[a].Rank - views[b].Rank })
		return by
	}
	total := 0
	for _, i := range group {
		total += max(1, views[i].Weight)
	}
	left := int(roll % uint64(total))
	for at, i := range group {
		left -= max(1, views[i].Weight)
		if left < 0 {
			toFront(group, at)
			break
		}
	}
	return WhyWeighted
}

// steps is how finely headroom is told apart: what differs by less is balanced
// as without it, so that not all requests run after the last answer's figure.
const steps = 20

func (v *View) step() int { return int(v.Headroom * steps) }

// byHeadroom ranks a group, the most first, and returns how many share the first
// place.
func byHeadroom(group []int, views []View) int {
	slices.SortStableFunc(group, func(a, b int) int { return views[b].step() - views[a].step() })
	most := 1
	for most < len(group) && views[group[most]].step() == views[group[0]].step() {
		most++
	}
	return most
}

func toFront(group []int, at int) {
	chosen := group[at]
	copy(group[1:at+1], group[:at])
	group[0] = chosen
}

func sortUnready(order []int, views []View) {
	if len(order) < 2 {
		return
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return int(max(-1, min(1, views[a].Wait-views[b].Wait)))
	})
}

// mix turns one roll into the next (the finaliser of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
