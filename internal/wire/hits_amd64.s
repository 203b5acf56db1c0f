#include "textflag.h"

// A byte c needs a look when c^0x82 is at most 0xA0: the exclusive or takes '"' and the control
// characters to 0x80..0xA0 and what is not ASCII to 0x00..0x7F. There is no comparison of bytes
// without a sign, so the test is whether the smaller of the byte and 0xA0 is the byte.
//
// A byte may follow a '\' when its two halves have a bit in common in two tables of sixteen:
// 1 is for '"' and '/', 2 for '\', 4 for 'b', 'f' and 'n', 8 for 'r' and 't'.

DATA turn<>(SB)/8, $0x8282828282828282
GLOBL turn<>(SB), RODATA|NOPTR, $8
DATA most<>(SB)/8, $0xA0A0A0A0A0A0A0A0
GLOBL most<>(SB), RODATA|NOPTR, $8
DATA backslash<>(SB)/8, $0x5C5C5C5C5C5C5C5C
GLOBL backslash<>(SB), RODATA|NOPTR, $8
DATA half<>(SB)/8, $0x0F0F0F0F0F0F0F0F
GLOBL half<>(SB), RODATA|NOPTR, $8

DATA lower<>+0(SB)/8, $0x00040008000D0000
DATA lower<>+8(SB)/8, $0x0104000200000000
GLOBL lower<>(SB), RODATA|NOPTR, $16
DATA upper<>+0(SB)/8, $0x0804020000010000
DATA upper<>+8(SB)/8, $0
GLOBL upper<>(SB), RODATA|NOPTR, $16

// LOOK has a bit for each of 32 bytes: in look where it needs a look, in slash where it is a
// '\', in never where it may not follow one.
#define LOOK(offset, look, slash, never) \
	VMOVDQU   offset(SI)(AX*1), Y0 \
	VPXOR     Y8, Y0, Y1           \
	VPMINUB   Y9, Y1, Y2           \
	VPCMPEQB  Y1, Y2, Y2           \
	VPMOVMSKB Y2, look             \
	VPCMPEQB  Y10, Y0, Y2          \
	VPMOVMSKB Y2, slash            \
	VPSHUFB   Y0, Y11, Y2          \
	VPSRLW    $4, Y0, Y0           \
	VPAND     Y13, Y0, Y0          \
	VPSHUFB   Y0, Y12, Y0          \
	VPAND     Y0, Y2, Y0           \
	VPCMPEQB  Y14, Y0, Y0          \
	VPMOVMSKB Y0, never

// func hitsAVX2(b []byte, i int) (at int, hits uint64)
TEXT ·hitsAVX2(SB), NOSPLIT, $0-48
	MOVQ           b_base+0(FP), SI
	MOVQ           b_len+8(FP), CX
	MOVQ           i+24(FP), AX
	SUBQ           $64, CX                 // the last offset at which a block can stand
	VPBROADCASTQ   turn<>(SB), Y8
	VPBROADCASTQ   most<>(SB), Y9
	VPBROADCASTQ   backslash<>(SB), Y10
	VBROADCASTI128 lower<>(SB), Y11
	VBROADCASTI128 upper<>(SB), Y12
	VPBROADCASTQ   half<>(SB), Y13
	VPXOR          Y14, Y14, Y14
	MOVQ           $0xAAAAAAAAAAAAAAAA, DI // the odd bits
	MOVQ           $0x8000000000000000, DX // the last one
	XORQ           R8, R8
	JMP            check

next:
	ADDQ $64, AX

check:
	CMPQ AX, CX
	JGT  done
	LOOK(0, R8, R9, R10)
	LOOK(32, R11, R12, R13)
	SHLQ $32, R11
	ORQ  R11, R8
	SHLQ $32, R12
	ORQ  R12, R9
	SHLQ $32, R13
	ORQ  R13, R10

	// Of a run of '\' every other one is escaped by the one before it. Taking the run from the
	// odd bits behind its start leaves, in every other place, a change: those places are what
	// begins an escape, and the byte behind a run of odd length. (G. Langdale, D. Lemire,
	// "Parsing Gigabytes of JSON per Second", 2019, section 3.1.1; as in simdjson since 3.8.)
	LEAQ (R9)(R9*1), BX
	ORQ  DI, BX
	SUBQ R9, BX
	XORQ DI, BX
	MOVQ BX, R11
	XORQ R9, R11 // what is escaped
	ANDQ R9, BX  // what escapes

	// What escapes needs a look when the byte behind it may not follow or is not here.
	SHRQ $1, R10
	ORQ  DX, R10
	ANDQ BX, R10
	NOTQ R11
	ANDQ R11, R8
	ORQ  R10, R8
	JZ   next

done:
	VZEROUPPER
	MOVQ AX, at+32(FP)
	MOVQ R8, hits+40(FP)
	RET
