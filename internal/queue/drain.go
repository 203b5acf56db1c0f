package queue

import (
	"math"
	"time"
)

// Outlook is what the routing group expects of its replicas.
type Outlook struct {
	// Wait is how long a request would wait at the replica that is best for it,
	// were it sent now.
	Wait time.Duration
	// Replicas is how many take requests; 0 counts as 1.
	Replicas int
}

// memory is how far back the speed is measured.
const memory = 10 * time.Second

// drain measures at what speed what waits is worked off, in predicted seconds
// for each second, while something waits. Time in which nothing waits says
// nothing and does not pass here. Where predictions are wrong the speed is wrong
// by the same factor, so that waits come out right.
type drain struct {
	served   [bands]float64 // predicted seconds let through, by rank; fading
	owed     float64        // of these, of requests for which room is kept
	prior    float64        // stands for what has not been seen yet
	elapsed  float64        // seconds in which they were; fading
	at       time.Time
	replicas float64
}

// newDrain believes in one second a second until it knows better.
func newDrain() drain { return drain{prior: 1, elapsed: 1, replicas: 1} }

// resume begins a time in which something waits.
func (d *drain) resume(now time.Time) { d.at = now }

// look takes in how many replicas there are: with twice as many the speed is
// expected to be twice as high.
func (d *drain) look(o Outlook) {
	n := float64(max(1, o.Replicas))
	if n == d.replicas {
		return
	}
	f := n / d.replicas
	for i := range d.served {
		d.served[i] *= f
	}
	d.owed *= f
	d.prior *= f
	d.replicas = n
}

// pass lets the time until now count.
func (d *drain) pass(now time.Time) {
	dt := now.Sub(d.at).Seconds()
	if dt <= 0 {
		return
	}
	fade := math.Exp(-dt / memory.Seconds())
	for i := range d.served {
		d.served[i] *= fade
	}
	d.owed *= fade
	d.prior *= fade
	d.elapsed = d.elapsed*fade + dt
	d.at = now
}

// note counts what was let through.
func (d *drain) note(now time.Time, rank int, it *Item) {
	d.pass(now)
	d.served[rank] += it.Cost
	if it.privileged() {
		d.owed += it.Cost
	}
}

// claimed is the part of what was let through from which on the whole reserve is
// kept for those that it is for.
const claimed = 0.25

// claim is Item.Claim.
func (d *drain) claim() float64 {
	sum := d.prior
	for _, s := range d.served {
		sum += s
	}
	return min(1, d.owed/(claimed*sum))
}

// leastSpeed keeps waits finite when nothing moves.
const leastSpeed = 1e-3

// speed is predicted seconds a second, of all bands together.
func (d *drain) speed() float64 {
	sum := d.prior
	for _, s := range d.served {
		sum += s
	}
	return max(leastSpeed, sum/d.elapsed)
}

// left is the speed that higher bands leave to a band. A tenth is left to the
// lowest estimate: higher bands are never seen to take everything for long.
func (d *drain) left(rank int) float64 {
	all := d.speed()
	rest := all
	for _, s := range d.served[:rank] {
		rest -= s / d.elapsed
	}
	return max(rest, all/10)
}

// seconds makes a duration of a float, which may be anything.
func seconds(s float64) time.Duration {
	const most = 24 * time.Hour
	if !(s < most.Seconds()) {
		return most
	}
	return time.Duration(max(0, s) * float64(time.Second))
}
