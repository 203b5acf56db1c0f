// Package queuesim plays loads of several tenants through the queue's Scheduler, in
// virtual time, before four simulated replicas (package sim): what one tenant's
// flood, or an overload, does to the others' first tokens and to what is answered.
// The tests of package queue and `make bench-routing` have their figures from here.
//
// It owns the loads, the replicas' way of saying what room is, and the scenarios.
// The order of what waits is package queue's alone. It opens no connection, reads no
// clock and starts no goroutine; the same arguments give the same figures. Its functions
// may be called by several goroutines at once.
//
// Start reading at [Flood]; [Capacity] is what loads are measured by.
package queuesim
