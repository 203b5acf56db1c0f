package ledger

import (
	"strconv"
	"time"
	"unicode/utf8"

	"tailplane/internal/llm"
)

// The encoder writes the JSON that encoding/json writes for an Exchange with
// HTML escaping off, byte for byte, without reflection or allocation. A field
// added to the record is added here as well: TestEncoderEqualsReflection fails
// until it is.

// appendExchange appends the full record.
func appendExchange(b []byte, ex *Exchange) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, ex.ID)
	b = append(b, `,"start":`...)
	b = appendTime(b, ex.Start)
	b = optString(b, `,"config":`, ex.Config)
	b = optString(b, `,"trace_id":`, ex.TraceID)
	b = optString(b, `,"key":`, ex.Key)
	b = optString(b, `,"name":`, ex.Name)
	b = optString(b, `,"customer":`, ex.Customer)
	b = optString(b, `,"client":`, ex.Client)
	b = appendAsk(b, ex)
	b = optInt(b, `,"max_tokens":`, int64(ex.MaxTokens))
	b = optString(b, `,"reason":`, ex.Reason)
	b = append(b, `,"attempts":`...)
	b = appendAttempts(b, ex.Attempts)
	b = appendLosses(b, ex.Losses)
	b = append(b, `,"outcome":`...)
	b = appendString(b, string(ex.Outcome))
	b = putInt(b, `,"status":`, int64(ex.Status))
	b = optString(b, `,"fault":`, string(ex.Fault))
	b = optString(b, `,"message":`, ex.Message)
	b = putInt(b, `,"admitted_ns":`, int64(ex.Admitted))
	b = optInt(b, `,"first_token_ns":`, int64(ex.FirstToken))
	b = putInt(b, `,"total_ns":`, int64(ex.Total))
	b = optInt(b, `,"events":`, int64(ex.Events))
	b = optInt(b, `,"itl_max_ns":`, int64(ex.ITLMax))
	b = putInt(b, `,"sent_bytes":`, ex.SentBytes)
	b = append(b, `,"usage":`...)
	b = appendUsage(b, &ex.Usage)
	b = putInt(b, `,"cost_nano":`, ex.Cost)
	b = append(b, `,"pricing":`...)
	b = appendString(b, string(ex.PriceStatus))
	b = optString(b, `,"price_version":`, ex.PriceVersion)
	return append(b, '}')
}

// appendOpen appends what an admission records: who asks for what. It decodes
// into an Exchange like the full record.
func appendOpen(b []byte, ex *Exchange) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, ex.ID)
	b = append(b, `,"start":`...)
	b = appendTime(b, ex.Start)
	b = optString(b, `,"config":`, ex.Config)
	b = optString(b, `,"key":`, ex.Key)
	b = optString(b, `,"name":`, ex.Name)
	b = optString(b, `,"customer":`, ex.Customer)
	b = appendAsk(b, ex)
	return append(b, '}')
}

func appendAsk(b []byte, ex *Exchange) []byte {
	b = append(b, `,"op":`...)
	b = appendString(b, string(ex.Op))
	b = append(b, `,"dialect":`...)
	b = appendString(b, string(ex.Dialect))
	b = append(b, `,"model":`...)
	b = appendString(b, ex.Model)
	b = optTrue(b, `,"stream":`, ex.Stream)
	return putInt(b, `,"bytes":`, int64(ex.Bytes))
}

func appendAttempts(b []byte, as []Attempt) []byte {
	if as == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i := range as {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAttempt(b, &as[i])
	}
	return append(b, ']')
}

func appendAttempt(b []byte, a *Attempt) []byte {
	b = append(b, `{"target":`...)
	b = appendString(b, a.Target)
	b = append(b, `,"kind":`...)
	b = appendString(b, a.Kind)
	b = append(b, `,"model":`...)
	b = appendString(b, a.Model)
	b = append(b, `,"dialect":`...)
	b = appendString(b, string(a.Dialect))
	b = append(b, `,"lane":`...)
	b = appendString(b, a.Lane)
	b = append(b, `,"why":`...)
	b = appendString(b, a.Why)
	b = optInt(b, `,"waited_ns":`, int64(a.Waited))
	b = putInt(b, `,"begin_ns":`, int64(a.Begin))
	b = optTrue(b, `,"reused":`, a.Reused)
	b = optInt(b, `,"connect_ns":`, int64(a.Connect))
	b = optInt(b, `,"head_ns":`, int64(a.Head))
	b = optInt(b, `,"first_token_ns":`, int64(a.FirstToken))
	b = putInt(b, `,"took_ns":`, int64(a.Took))
	b = optInt(b, `,"status":`, int64(a.Status))
	b = optString(b, `,"upstream_id":`, a.Upstream)
	b = optString(b, `,"stop":`, string(a.Stop))
	b = optString(b, `,"fault":`, string(a.Fault))
	b = optString(b, `,"phase":`, string(a.Phase))
	b = optString(b, `,"retry":`, string(a.Retry))
	b = optInt(b, `,"after_ns":`, int64(a.After))
	b = optString(b, `,"code":`, a.Code)
	b = optString(b, `,"message":`, a.Message)
	b = append(b, `,"usage":`...)
	b = appendUsage(b, &a.Usage)
	b = putInt(b, `,"cost_nano":`, a.Cost)
	b = optString(b, `,"pricing":`, string(a.Priced))
	return append(b, '}')
}

func appendLosses(b []byte, ls []llm.Loss) []byte {
	if len(ls) == 0 {
		return b
	}
	b = append(b, `,"losses":[`...)
	for i := range ls {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"feature":`...)
		b = appendString(b, ls[i].Feature)
		b = optString(b, `,"detail":`, ls[i].Detail)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendUsage(b []byte, u *llm.Usage) []byte {
	b = putInt(b, `{"input":`, u.Input)
	b = optInt(b, `,"cache_read":`, u.CacheRead)
	b = optInt(b, `,"cache_read_audio":`, u.CacheReadAudio)
	b = optInt(b, `,"cache_write":`, u.CacheWrite)
	b = optInt(b, `,"cache_write_1h":`, u.CacheWrite1h)
	b = optInt(b, `,"input_audio":`, u.InputAudio)
	b = putInt(b, `,"output":`, u.Output)
	b = optInt(b, `,"reasoning":`, u.Reasoning)
	b = optInt(b, `,"output_audio":`, u.OutputAudio)
	if u.HasUnits() {
		b = optInt(b, `,"images":`, u.Images)
		b = optInt(b, `,"audio_millis":`, u.AudioMillis)
		b = optInt(b, `,"characters":`, u.Characters)
		b = optInt(b, `,"search_units":`, u.SearchUnits)
	}
	b = optString(b, `,"tier":`, u.Tier)
	b = optString(b, `,"source":`, string(u.Source))
	return append(b, '}')
}

// appendTime writes RFC 3339 with nanoseconds. Years outside 0 to 9999 have no
// such form; the gateway's clock does not produce them.
func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func putInt(b []byte, key string, v int64) []byte {
	return strconv.AppendInt(append(b, key...), v, 10)
}

func optInt(b []byte, key string, v int64) []byte {
	if v == 0 {
		return b
	}
	return putInt(b, key, v)
}

func optTrue(b []byte, key string, v bool) []byte {
	if !v {
		return b
	}
	return append(append(b, key...), "true"...)
}

func optString(b []byte, key, v string) []byte {
	if v == "" {
		return b
	}
	return appendString(append(b, key...), v)
}

// appendString quotes s as JSON. Invalid UTF-8 becomes the replacement
// character; U+2028 and U+2029 are escaped, as encoding/json does.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = appendEscape(append(b, s[from:i]...), c)
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(append(b, s[from:i]...), `\ufffd`...)
			from = i + n
		case r == '\u2028':
			b = append(append(b, s[from:i]...), `\u2028`...)
			from = i + n
		case r == '\u2029':
			b = append(append(b, s[from:i]...), `\u2029`...)
			from = i + n
		}
		i += n
	}
	return append(append(b, s[from:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
