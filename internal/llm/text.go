package llm

// Text is what somebody said, as the JSON string that says it, with its quotes and
// escapes; one of no bytes says nothing. Every dialect writes texts so, and most of
// them go from one body into another without anybody looking inside: so they are
// decoded only by those who do.
//
// It is valid JSON without halves of surrogate pairs. Its bytes may be those of the
// body that it was read from; nobody writes to them.
type Text []byte

// Empty reports whether t says nothing.
func (t Text) Empty() bool { return len(t) <= len(`""`) }
