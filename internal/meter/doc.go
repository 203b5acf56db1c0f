// Package meter turns usage into money, exactly.
//
// It owns the price book ([Book]: list prices that are built into the program
// or come with a catalogue, and the operator's own on top), the rule by which a
// model's name finds its prices (match.go), what service tiers and other units
// than tokens cost (additions.go, tier.go) and the arithmetic (rate.go,
// decimal.go). There is no floating point in it.
//
// It never asks the network for a price, never counts tokens, and never turns
// what it does not know into zero: an unknown price is [ledger.Unpriced].
//
// Start reading at [Book.Rate]. The data file prices.jsonl is made by the
// program in genprices; additions.jsonl is kept by hand.
package meter

//go:generate go run ./genprices -in ../../../shared/catalog/genai-prices/prices/data.json -as-of 2026-08-21 -out prices.jsonl
