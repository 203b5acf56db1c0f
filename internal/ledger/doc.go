// Package ledger keeps the record of every exchange: a durable journal on the
// request path, a store behind it, and the queries over the store.
//
// It owns the record ([Exchange]), the journal ([Journal]: segment files with a
// checksum and a hash chain), the drain from the journal into a [Store]
// ([SQLite], [Memory]) and the questions that can be asked ([Reader]).
//
// It never decides whether a request may run, never computes a price, and
// never holds a prompt, an answer or a secret. It never drops a record
// silently: what cannot be written is an error to the caller and is counted.
//
// The guarantees, and where each is kept:
//
//   - A record is safe from the death of the process when Admit or Settle
//     returns (file_linux.go, file_other.go), and from the loss of power at most
//     [JournalOptions.Sync] later (run.go), or by then, too, where the journal is
//     strict (commit.go).
//   - An exchange that was admitted and not settled when the process died
//     reappears with [OutcomeUnknown] (recover.go).
//   - A settled record is in the store, and in the sums that Usage gives,
//     exactly once (drain.go, sqlite.go).
//   - A changed, cut or reordered record is found ([Verify]), in a store for as long
//     as the store is there (seal.go, [SQLite.VerifyStore]).
//
// Start reading at [Journal]; segment.go describes the bytes, rollup.go those of
// the sums, block.go how records lie in SQLite.
package ledger
