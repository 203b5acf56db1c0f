// Package dialect turns wire formats into the canonical conversation of
// package llm and back: one codec per dialect, never one per pair.
//
// It owns what bytes mean: how a request, an answer, a stream and an error
// are spelled in each dialect, what is lost when one is said in another, and
// where the few members stand that the splice lane edits. It never knows who
// is called (package upstream) nor what a server can do (package engine), and
// it does no I/O of its own beyond the readers and writers that it is given.
//
// A codec is a stateless value and safe for concurrent use. What it returns
// belongs to the caller and holds nothing of the bytes that it was given but for
// the texts of a call and of a complete answer ([llm.Text]): who uses one leaves
// the body as it is.
//
// The laws that every codec obeys are tests: a request and an answer survive a
// round trip as JSON; splicing changes only the members it names; nothing is
// dropped without an [llm.Loss]; any way of cutting a stream into reads gives
// the same events; the usage that the tap sees is the usage that full decoding
// finds.
//
// # Where to start
//
// Read codec.go, which has the two interfaces; then the rules at the top of
// object.go (how a body is taken apart) and of object_write.go (how one is put
// together), on which everything rests. Then follow one request through one
// dialect: anthropic_call.go reads it, anthropic_encode.go writes it.
//
// # The files
//
// A file of one dialect begins with its name, and so does what it declares
// (anthropicStops). What comes behind the name is the same for each:
//
//	chat.go, gemini.go, ...  the codec, and what the splice lane needs: Glance, Splice, the tap
//	_call.go       requests, read
//	_encode.go     requests, written
//	_settle.go     calls of other dialects, before they are written: what cannot be said is changed or lost
//	_parts.go      the parts of turns and answers, read: blocks, items
//	_write.go      the same, written
//	_reply.go      complete answers, both ways
//	_events.go     streams, read
//	_writer.go     streams, written
//	_usage.go      usage, both ways
//	_errors.go     error envelopes, both ways
//
// A dialect has further files for what only it has: chat_choice.go (a choice of
// a stream, read), chat_tap.go, completions_stream.go, anthropic_model.go (what
// Claude models want), converse_fields.go (the members of models' makers),
// converse_media.go, gemini_config.go (generationConfig), gemini_schema.go,
// gemini_spell.go (two names for a member), gemini_partial.go (arguments in
// pieces), gemini_array.go (the other frame of its streams), responses_live.go
// (items of a stream, read), responses_finish.go (their ends, written),
// bedrock_invoke.go (Anthropic's stream in Bedrock's frames).
//
// What several dialects share:
//
//	index.go            the dialects there are
//	arena.go            the memory that reading is lent
//	document.go, object.go, object_read.go, object_walk.go, object_extra.go   JSON objects, read
//	object_write.go     JSON objects, written
//	quote.go            texts as they stand
//	losses.go           what could not be said, each once
//	settle.go           calls of other dialects, for anthropic, converse and gemini
//	events_read.go      the memory that reading a stream takes
//	blocks_read.go, blocks_write.go     streams of blocks: anthropic, converse
//	chunks_read.go, chunks_write.go     streams of chunks: chat, completions, gemini
//	collect.go          a stream as an answer, an answer as a stream
//	signature.go        thinking signatures on their way through a client of another dialect
//	openai_error.go, openai_usage.go    what OpenAI's dialects and their many relatives say
//	callid.go, efforts.go, logprobs.go, media.go, stops.go, usage.go
//
// Beside conversations:
//
//	count.go            questions for the number of tokens
//	embeddings.go       the surface of OpenAI's vectors
//	embed.go, gemini_embed.go, vertex_embed.go, bedrock_embed.go    vectors, translated
package dialect
