package kvevents

import (
	"encoding/binary"
	"fmt"
	"math"
)

// named is a map with its members in order: name, value, name, value.
type named []any

// pack writes MessagePack, in the shortest forms.
func pack(v any) []byte {
	switch v := v.(type) {
	case nil:
		return []byte{0xc0}
	case bool:
		if v {
			return []byte{0xc3}
		}
		return []byte{0xc2}
	case int:
		if v < 0 {
			return binary.BigEndian.AppendUint64([]byte{0xd3}, uint64(v))
		}
		return pack(uint64(v))
	case uint64:
		if v < 0x80 {
			return []byte{byte(v)}
		}
		return binary.BigEndian.AppendUint64([]byte{0xcf}, v)
	case float64:
		return binary.BigEndian.AppendUint64([]byte{0xcb}, math.Float64bits(v))
	case string:
		return append(binary.BigEndian.AppendUint16([]byte{0xda}, uint16(len(v))), v...)
	case []byte:
		return append([]byte{0xc4, byte(len(v))}, v...)
	case []any:
		return packAll(binary.BigEndian.AppendUint32([]byte{0xdd}, uint32(len(v))), v)
	case named:
		return packAll(binary.BigEndian.AppendUint16([]byte{0xde}, uint16(len(v)/2)), v)
	}
	panic(fmt.Sprintf("%T cannot be packed", v))
}

func packAll(b []byte, list []any) []byte {
	for _, v := range list {
		b = append(b, pack(v)...)
	}
	return b
}

func numbers(from, n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = from + i
	}
	return list
}

// stored is the event of n blocks of 16 tokens.
func stored(hash, n int) any {
	return []any{"BlockStored", numbers(hash, n), nil, numbers(1000, 16*n), 16, nil, "GPU"}
}

func removed(hash, n int) any { return []any{"BlockRemoved", numbers(hash, n), "GPU"} }

func batchOf(events ...any) []byte { return pack([]any{1.5, events, 0}) }
