package meter

import "bytes"

// EstimateTokens guesses how many tokens a text of so many bytes has: a quarter,
// rounded up, which fits English prose and the tokenizers of today. Usage made
// from it carries llm.UsageEstimated.
func EstimateTokens(bytes int) int64 {
	return (int64(max(bytes, 0)) + 3) / 4
}

// Media in a body is one long string of ASCII without a space or an escape. Such
// a string counts as a picture of usual size, which costs about so many tokens
// everywhere, however many bytes it has.
const (
	longestWord = 2 << 10
	mediaTokens = 1000
)

// EstimatePrompt guesses how many tokens the body of a request has, without
// taking pictures in base64 for text.
func EstimatePrompt(body []byte) int64 {
	text, media := len(body), int64(0)
	for rest := body; len(rest) > longestWord; {
		end := bytes.IndexByte(rest, '"')
		if end < 0 {
			break
		}
		if end > longestWord && encoded(rest[:longestWord]) {
			text -= end
			media += mediaTokens
		}
		rest = rest[end+1:]
	}
	return EstimateTokens(text) + media
}

// encoded reports whether the beginning of a string can be that of a data URL or
// of base64: prose of any language has spaces or letters beyond ASCII.
func encoded(text []byte) bool {
	for _, c := range text {
		if c <= ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// elsewhere are the marks of input that a body names and does not hold, or that a
// model is charged for by other measures than its bytes: pictures and files, what
// the provider keeps, and tools that the provider runs.
var elsewhere = [...]string{
	`image`, `"file`, `"document`, `"audio`, `input_audio`, `"video`, `fileData`, `inlineData`, `cachedContent`,
	`previous_response_id`, `"conversation"`, `"prompt"`, `web_search`, `"url"`, `google_search`, `googleSearch`, `code_interpreter`,
	`computer`, `"mcp"`, `"container"`, `s3Location`,
}

// RefersElsewhere reports whether a request's body may stand for more tokens than
// it has bytes. It errs on the side of yes: text that holds such a word counts.
func RefersElsewhere(body []byte) bool {
	for _, mark := range elsewhere {
		if bytes.Contains(body, []byte(mark)) {
			return true
		}
	}
	return false
}
