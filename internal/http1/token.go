package http1

// IsTokenByte reports whether a token may hold c (RFC 9110, section 5.6.2).
func IsTokenByte(c byte) bool {
	const low uint64 = (1<<10-1)<<'0' | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' |
		1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
	const high uint64 = (1<<26-1)<<('a'-64) | (1<<26-1)<<('A'-64) |
		1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)
	if c < 64 {
		return low>>c&1 != 0
	}
	return c < 128 && high>>(c-64)&1 != 0
}
