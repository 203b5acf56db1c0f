//go:build !amd64

package wire

// nextHits looks at blocks of 64 bytes from i on, where no escape may be open. It returns the
// offset of the first one that holds special bytes and a bit for each of them, the first
// byte's lowest; hits is zero when fewer than 64 bytes are left at at. Bits of escapes of two
// bytes that end in the block may be missing.
func nextHits(b []byte, i int) (at int, hits uint64) { return hitsInWords(b, i) }
