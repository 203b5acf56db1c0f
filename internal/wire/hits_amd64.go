package wire

import "golang.org/x/sys/cpu"

// nextHits looks at blocks of 64 bytes from i on, where no escape may be open. It returns the
// offset of the first one that holds special bytes and a bit for each of them, the first
// byte's lowest; hits is zero when fewer than 64 bytes are left at at. Bits of escapes of two
// bytes that end in the block may be missing.
func nextHits(b []byte, i int) (at int, hits uint64) {
	if cpu.X86.HasAVX2 {
		return hitsAVX2(b, i)
	}
	return hitsInWords(b, i)
}

// hitsAVX2 is nextHits without the bits of escapes of two bytes that end in the block, so
// that a text with an escape in each line is read without a branch that cannot be foretold
// (docs/adr/0015-one-page-of-assembly.md).
//
//go:noescape
func hitsAVX2(b []byte, i int) (at int, hits uint64)
