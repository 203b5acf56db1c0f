// Package facts keeps what the API and the command line change while the program
// runs: parties, keys and roles, with a record of every change.
package facts
