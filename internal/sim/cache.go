package sim

// Rules of this file: a block is in the free list exactly when no sequence
// refers to it; a free block may still hold a hashed prefix and is then found
// by the next prompt or taken by the next allocation, oldest first.

// none ends the free list.
const none = -1

// kvCache is a pool of equal blocks with reference counts, a prefix index by
// chain hash and one least-recently-used list of the unreferenced blocks.
type kvCache struct {
	blocks []block
	index  map[uint64]int32
	head   int32 // next to be taken
	tail   int32 // most recently released
	free   int
	watch  bool // changes are kept
	log    []CacheChange
}

// CacheChange is a block of the prefix cache that was stored, or removed.
type CacheChange struct {
	Hash    uint64
	Removed bool
}

func (c *kvCache) note(hash uint64, removed bool) {
	if c.watch {
		c.log = append(c.log, CacheChange{hash, removed})
	}
}

type block struct {
	hash       uint64
	hashed     bool
	refs       int32
	prev, next int32
}

func newKVCache(n int) *kvCache {
	c := &kvCache{blocks: make([]block, n), index: make(map[uint64]int32), head: none, tail: none}
	for i := range c.blocks {
		c.pushBack(int32(i))
	}
	return c
}

func (c *kvCache) used() int { return len(c.blocks) - c.free }

// match returns how many of the leading hashes are cached, and how many of
// those blocks are free: acquiring them takes them from the free list.
func (c *kvCache) match(hashes []uint64) (hits, freeHits int) {
	for _, h := range hashes {
		b, ok := c.index[h]
		if !ok {
			break
		}
		hits++
		if c.blocks[b].refs == 0 {
			freeHits++
		}
	}
	return hits, freeHits
}

// acquire refers to the cached block of a hash that match has just found.
func (c *kvCache) acquire(hash uint64) int32 {
	b := c.index[hash]
	if c.blocks[b].refs == 0 {
		c.unlink(b)
	}
	c.blocks[b].refs++
	return b
}

// alloc takes the least recently used free block and forgets what it held.
// It returns false when every block is referred to.
func (c *kvCache) alloc() (int32, bool) {
	b := c.head
	if b == none {
		return 0, false
	}
	c.unlink(b)
	blk := &c.blocks[b]
	if blk.hashed {
		delete(c.index, blk.hash)
		blk.hashed = false
		c.note(blk.hash, true)
	}
	blk.refs = 1
	return b, true
}

// seal publishes a fully computed block under its chain hash. When another
// block already holds that prefix, this one stays private.
func (c *kvCache) seal(b int32, hash uint64) {
	if _, taken := c.index[hash]; taken || c.blocks[b].hashed {
		return
	}
	c.blocks[b].hash, c.blocks[b].hashed = hash, true
	c.index[hash] = b
	c.note(hash, false)
}

// release drops one reference to each block, last block first, so that the end
// of a prefix is evicted before its beginning. A block without a hash goes to
// the front: nothing is lost by taking it.
func (c *kvCache) release(blocks []int32) {
	for i := len(blocks) - 1; i >= 0; i-- {
		b := blocks[i]
		c.blocks[b].refs--
		switch {
		case c.blocks[b].refs > 0:
		case c.blocks[b].hashed:
			c.pushBack(b)
		default:
			c.pushFront(b)
		}
	}
}

func (c *kvCache) pushBack(b int32) {
	c.blocks[b].prev, c.blocks[b].next = c.tail, none
	if c.tail == none {
		c.head = b
	} else {
		c.blocks[c.tail].next = b
	}
	c.tail = b
	c.free++
}

func (c *kvCache) pushFront(b int32) {
	c.blocks[b].prev, c.blocks[b].next = none, c.head
	if c.head == none {
		c.tail = b
	} else {
		c.blocks[c.head].prev = b
	}
	c.head = b
	c.free++
}

func (c *kvCache) unlink(b int32) {
	blk := &c.blocks[b]
	if blk.prev == none {
		c.head = blk.next
	} else {
		c.blocks[blk.prev].next = blk.next
	}
	if blk.next == none {
		c.tail = blk.prev
	} else {
		c.blocks[blk.next].prev = blk.prev
	}
	c.free--
}
