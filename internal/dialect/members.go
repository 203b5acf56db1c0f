package dialect

import "errors"

// errNoCodec says that a conversation cannot be read in a dialect.
var errNoCodec = errors.New("dialect: this conversation cannot be read")
