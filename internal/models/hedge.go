package models

import (
	"fmt"
	"strconv"
	"strings"
)

// Hedge is the share of a model's requests that may be sent a second time, in
// percent. Zero says nothing, and [HedgeOff] that none may.
type Hedge int

// HedgeOff is `off` in the file; mostHedge is the largest share: more would be
// another load, and not a help against a late answer.
const (
	HedgeOff  Hedge = -1
	mostHedge Hedge = 10
)

// UnmarshalText reads a whole number with a percent sign, or "off".
func (h *Hedge) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*h = HedgeOff
		return nil
	}
	number, sign := strings.CutSuffix(string(text), "%")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || !sign || n < 1 || Hedge(n) > mostHedge {
		return fmt.Errorf("%q is no share of requests; write 1%% to %d%%, or off", text, mostHedge)
	}
	*h = Hedge(n)
	return nil
}
