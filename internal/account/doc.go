// Package account says how much: the limits and budgets of parties, keys, models
// and targets.
//
// It owns their rules ([Rules]) and live state ([Account]): rates as GCRA, places
// for requests in flight, balances of budgets by window, what requests in flight
// hold of all that ([Hold]), the leases by which several gateways share it
// ([Shared], [Postgres]), and the estimate of a request's tokens ([Estimator]).
//
// It never knows a price, a model's catalogue or a request's body: it is told
// tokens and nano-dollars. It keeps no balance anywhere: a balance is what the
// ledger says was spent in the window until the budget was made, plus what was
// settled since, plus what is held now. It never asks anything on the way of a
// request, except for a lease that is used up, and then for a second at most.
//
// The guarantees, and where each is kept:
//
//   - A request takes from every account of its chain or from none (reserve.go).
//   - In any stretch of time T a rate admits at most its amount and what comes
//     back in T (rate.go).
//   - A hard budget is exceeded by the errors of the estimates in flight and by
//     nothing else, a strict one by nothing (window.go).
//   - A hold is settled once, into the window that it was admitted in (hold.go).
//   - Gateways that share a budget do not exceed it together, whichever of them
//     dies, is cut off or comes back (lease.go, lend.go).
//
// Start reading at [Accounts.Reserve]; lease.go is what the shared database
// decides, lend.go what a gateway does with it.
package account
