//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"tailplane/internal/ledger"
)

// The syncs on a request's way are counted from outside: strace runs this program
// again, which says on its standard error where the requests begin and end.
const (
	beginMark = "bench-ledger-begin"
	endMark   = "bench-ledger-end"
	traced    = 20_000 // exchanges: a few segments
)

// syncs counts what Admit and Settle ask the kernel to make durable.
func syncs(out io.Writer, dir string) error {
	tool, err := exec.LookPath("strace")
	if err != nil {
		fmt.Fprintln(out, "journal: fsync on a request's way: not counted, there is no strace here")
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log := filepath.Join(dir, "trace")
	cmd := exec.Command(tool, "-f", "-qq", "-o", log, "-e", "trace=fsync,fdatasync,msync,sync_file_range,syncfs,write", self, "-traced", filepath.Join(dir, "journal"))
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(out, "journal: fsync on a request's way: not counted, strace does not run here: %v\n", err)
		return nil
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	_, text, ok := bytes.Cut(text, []byte(beginMark))
	text, _, ok2 := bytes.Cut(text, []byte(endMark))
	if !ok || !ok2 {
		return errors.New("the trace has no marks")
	}
	count := 0
	for _, call := range []string{" fsync(", " fdatasync(", " msync(", " sync_file_range(", " syncfs("} {
		count += bytes.Count(text, []byte(call))
	}
	figure(out, fmt.Sprintf("journal: fsync and its like while %d are admitted and settled", traced), float64(count), 0, "calls", false)
	return nil
}

// runTraced is what strace looks at.
func runTraced(dir string) error {
	j, err := ledger.OpenJournal(ledger.JournalOptions{Dir: dir, Store: ledger.NewMemory(0)})
	if err != nil {
		return err
	}
	var ex ledger.Exchange
	fmt.Fprintln(os.Stderr, beginMark)
	for i := range traced {
		exchange(&ex, i, traced)
		if err := admitSettle(j, &ex); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stderr, endMark)
	return j.Close()
}
