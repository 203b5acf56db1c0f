package gateway

import "tailplane/internal/queue"

// Held is how many requests wait in the plane's queues, and how many places are
// promised to requests that have not been sent.
func (p *Plane) Held() (waiting, promised int) {
	p.eachLine(func(_ string, lines []queue.Stats) {
		for _, s := range lines {
			promised += s.Promised
			for _, b := range s.Bands {
				waiting += b.Waiting
			}
		}
	})
	return waiting, promised
}
