package dialect

import (
	"encoding/base64"
	"strings"

	"tailplane/internal/llm"
)

// Images, documents, videos and sounds. Bedrock takes bytes, or objects of S3:
// these are files that only Bedrock can read, so their address is the FileID.

// converseMediaKind is a block of media with the formats that Bedrock names.
type converseMediaKind struct {
	member  string
	kind    llm.PartKind
	formats []converseFormat
}

type converseFormat struct{ format, mime string }

// converseMedia is the table of media; formats are those of botocore's enums. Of a
// MIME type that stands twice the first format is written.
var converseMedia = []converseMediaKind{
	{"image", llm.PartImage, []converseFormat{
		{"png", "image/png"}, {"jpeg", "image/jpeg"}, {"gif", "image/gif"}, {"webp", "image/webp"},
	}},
	{"document", llm.PartFile, []converseFormat{
		{"pdf", "application/pdf"},
		{"csv", "text/csv"},
		{"doc", "application/msword"},
		{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"xls", "application/vnd.ms-excel"},
		{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
		{"html", "text/html"},
		{"txt", "text/plain"},
		{"md", "text/markdown"},
	}},
	{"video", llm.PartFile, []converseFormat{
		{"mp4", "video/mp4"},
		{"mkv", "video/x-matroska"},
		{"mov", "video/quicktime"},
		{"webm", "video/webm"},
		{"flv", "video/x-flv"},
		{"mpeg", "video/mpeg"},
		{"mpg", "video/mpg"},
		{"wmv", "video/x-ms-wmv"},
		{"three_gp", "video/3gpp"},
	}},
	{"audio", llm.PartAudio, []converseFormat{
		{"mp3", "mp3"},
		{"wav", "wav"},
		{"opus", "opus"},
		{"aac", "aac"},
		{"flac", "flac"},
		{"mp4", "mp4"},
		{"ogg", "ogg"},
		{"mkv", "mkv"},
		{"mka", "mka"},
		{"x-aac", "x-aac"},
		{"m4a", "m4a"},
		{"mpeg", "mpeg"},
		{"mpga", "mpga"},
		{"pcm", "pcm"},
		{"webm", "webm"},
	}},
}

// decode takes a block of this kind. A format or a source that is not known
// leaves the whole block to PartOther.
func (k *converseMediaKind) decode(o *object, p *llm.Part) (form uint32) {
	in := o.sub(k.member)
	m := &llm.Media{}
	format, stated := in.text("format")
	for _, f := range k.formats {
		if f.format == format {
			m.Type = f.mime
		}
	}
	if m.Type == "" && (stated || k.member != "document") {
		return 0
	}
	if !stated {
		form = converseNoFormat
	}
	if k.member == "document" {
		m.Name = in.str("name")
	}
	source := in.sub("source")
	if source == nil {
		return 0
	}
	switch {
	case source.get("bytes") != nil:
		m.Data = source.need("bytes")
	case source.get("s3Location") != nil:
		m.FileID = source.sub("s3Location").need("uri")
	case source.get("text") != nil:
		m.Data = base64.StdEncoding.EncodeToString([]byte(source.need("text")))
		form |= converseSourceText
		if m.Type == "" {
			m.Type = "text/plain"
		}
	}
	if m.Data != "" || m.FileID != "" {
		p.Kind, p.Media = k.kind, m
	}
	return form
}

// converseMediaOf finds the block and the format for media of another dialect; nil
// when Bedrock takes no such thing.
func converseMediaOf(kind llm.PartKind, mime string) (*converseMediaKind, string) {
	mime, _, _ = strings.Cut(strings.ToLower(mime), ";")
	mime = strings.TrimSpace(mime)
	if kind == llm.PartAudio {
		mime = audioFormat(mime)
	}
	if mime == "image/jpg" {
		mime = "image/jpeg"
	}
	for i := range converseMedia {
		k := &converseMedia[i]
		if k.kind != kind {
			continue
		}
		for _, f := range k.formats {
			if f.mime == mime {
				return k, f.format
			}
		}
	}
	return nil, ""
}

// media writes a block of media. The caller has made it sayable (see
// converseSettler.media); a document without a type is one that stated no format.
func (e *converseEncoder) media(w *objectWriter, p *llm.Part, form uint32) {
	m := p.Media
	k, format := converseMediaOf(p.Kind, m.Type)
	if k == nil || form&converseNoFormat != 0 {
		k, format = &converseMedia[1], ""
	}
	in := w.sub(k.member)
	in.str("format", format)
	if k.member == "document" {
		in.str("name", m.Name)
	}
	source := in.sub("source")
	switch {
	case m.FileID != "":
		place := source.sub("s3Location")
		place.text("uri", m.FileID)
		place.endSub()
	case form&converseSourceText != 0:
		text, _ := base64.StdEncoding.DecodeString(m.Data)
		source.text("text", string(text))
	default:
		source.text("bytes", m.Data)
	}
	source.endSub()
	in.endSub()
}
