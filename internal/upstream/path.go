package upstream

import (
	"strings"

	"tailplane/internal/llm"
)

// Request targets. Most providers have one path for each operation; those that
// name the model in the path have a function in their own file.

// paths are the operations of the dialects under the prefix that most have, so that
// the path of a call needs no memory there.
var paths = map[llm.Dialect]string{
	llm.Chat:        version + "/chat/completions",
	llm.Completions: version + "/completions",
	llm.Embeddings:  version + "/embeddings",
	llm.Responses:   version + "/responses",
	llm.Anthropic:   version + "/messages",
}

const (
	version   = "/v1"
	countPath = version + "/messages/count_tokens"
)

// path is the request target of a call.
func (t *Target) path(c *Call) string {
	switch {
	case t.Kind.Path != nil:
		return t.Kind.Path(t, *c)
	case t.prefix == version:
		return versioned(c)
	}
	return t.prefix + tablePath(*c)
}

// tablePath is the operation of a call below a prefix.
func tablePath(c Call) string { return strings.TrimPrefix(versioned(&c), version) }

func versioned(c *Call) string {
	if c.Op == llm.OpCount {
		return countPath
	}
	return paths[c.Dialect]
}

// segment escapes a name for one segment of a path: everything but letters,
// digits and -._~ becomes %XX, so that the colon and the slash of an ARN do, as
// in the recorded requests of the AWS SDK.
func segment(name string) string {
	plain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// PathModel is what the provider calls a model, as one segment of a path.
func (t *Target) PathModel(model string) string { return segment(t.ModelName(model)) }

// segments is segment for a name that may consist of several ("tunedModels/x").
func segments(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = segment(parts[i])
	}
	return strings.Join(parts, "/")
}
