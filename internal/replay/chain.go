package replay

import "tailplane/internal/prefix"

// bytesPerToken is how many bytes of text stand for a token of a trace. A trace
// has no text; routers are given this size, and learn the ratio as they do from
// real answers.
const bytesPerToken = 4

// chain is a prompt as a router and as an engine see it.
type chain struct {
	prefix.Chain
	hashes []uint64 // of the blocks of prompt and answer, for the engine
}

// build fills c with the full blocks of a prompt: one mark for each, whose hash
// depends on all ids before. Where the continuation is known, the engine's
// hashes go on into the answer. salt tells sessions with local ids apart.
func (c *chain) build(r *Request, block, lane int, salt uint64) {
	c.Marks, c.hashes = c.Marks[:0], c.hashes[:0]
	c.Bytes, c.Lane = r.Input*bytesPerToken, 0
	full, known := r.Input/block, (r.Input+r.Output)/block
	ids := r.Runs
	if len(r.Goes) > 0 {
		ids = r.Goes
	} else {
		known = full
	}
	h := mix(salt)
	for _, run := range ids {
		for i := range run.Count {
			if len(c.hashes) == known {
				return
			}
			h = mix(h ^ mix(uint64(run.Start+int64(i))))
			c.hashes = append(c.hashes, h)
			n := len(c.hashes)
			if n == lane || n < lane {
				c.Lane = h
			}
			if n <= full {
				c.Marks = append(c.Marks, prefix.Mark{Hash: h, End: n * block * bytesPerToken})
			}
		}
	}
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// mixText is a hash of a name.
func mixText(s string) uint64 {
	h := uint64(len(s))
	for i := range len(s) {
		h = mix(h ^ uint64(s[i]))
	}
	return h
}
