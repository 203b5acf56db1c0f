package h1

// Forget drops the pool of an address that is not called any more, and closes
// its idle connections. Connections in use end with their requests.
func (c *Client) Forget(address string) {
	c.mu.Lock()
	var gone []*host
	for key, h := range c.hosts {
		if key.address == address {
			gone = append(gone, h)
			delete(c.hosts, key)
		}
	}
	c.mu.Unlock()
	for _, h := range gone {
		h.closeIdle()
	}
}
