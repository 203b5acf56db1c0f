package fleet

// liftedPenalty is the share that is kept off a target that is asked although it
// is ejected, so that the others come first.
const liftedPenalty = 0.75

// Admit lifts ejections that a group cannot afford. Of the targets that share
// traffic no more than a share, rounded down, may be ejected for a judgement
// (errors in a row, their rate, lateness): one in a group of two to six, two of
// seven. Those that are ejected for something certain (no connection, standstill)
// count as well, but are never lifted here: whoever is asked there is not
// answered. A group of which nobody is left is not touched; its fallback
// serves, or see [Panic]. It returns how many it has lifted.
//
// The least grave go first: the late, then those that fail often, then those that
// failed in a row.
func Admit(group []View, share float64) (lifted int) {
	members, certain, judged, left := 0, 0, 0, 0
	for i := range group {
		v := &group[i]
		switch {
		case v.Draining:
			continue
		case !v.Broken:
			left++
		case v.Cause.Certain():
			certain++
		default:
			judged++
		}
		members++
	}
	if members < 2 || left == 0 {
		return 0
	}
	most := max(1, int(share*float64(members)+1e-9))
	for _, cause := range [...]Cause{CauseSlow, CauseRate, CauseFaults} {
		for i := range group {
			v := &group[i]
			if v.Broken && !v.Draining && v.Cause == cause && judged > max(0, most-certain) {
				v.lift()
				judged--
				lifted++
			}
		}
	}
	return lifted
}

// Panic lifts every ejection when no target of several is left to be asked:
// then it is more likely that what is wrong lies here, or with the requests,
// than that all of them are broken, and a spread of the load is better than the
// first of them taking all. What is drained stays so, and what says itself that
// it does not serve as long as another does. It reports whether it was needed.
func Panic(all []View) bool {
	ejected, unready := 0, 0
	for i := range all {
		v := &all[i]
		switch {
		case v.Draining:
		case !v.Broken:
			return false
		case v.Cause == CauseUnready:
			unready++
		default:
			ejected++
		}
	}
	if ejected+unready < 2 {
		return false
	}
	for i := range all {
		if v := &all[i]; !v.Draining && (v.Cause != CauseUnready || ejected == 0) {
			v.lift()
			v.Penalty = 0
		}
	}
	return true
}

func (v *View) lift() {
	v.Broken, v.Ejected = false, false
	v.Penalty = max(v.Penalty, liftedPenalty)
}
