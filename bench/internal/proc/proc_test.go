//go:build linux

package proc

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestTicksCountAfterTheCommandName(t *testing.T) {
	stat := "42 (a) b (c) S 1 42 42 0 -1 4194560 10 20 30 40 7 5 0 0 20 0 1 0 100 0 0"
	if got := parseTicks(stat); got != 120*time.Millisecond {
		t.Errorf("12 ticks are %v", got)
	}
}

func TestBusyIsTheShareWithoutIdleAndWait(t *testing.T) {
	before := parseCores("cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 10 0 0 10 0 0 0 0 0 0\nintr 5\n")
	after := parseCores("cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 20 0 5 20 5 0 0 0 9 9\n")
	if got := Busy(before, after); !slices.Equal(got, []float64{0.5}) {
		t.Errorf("busy %v, want 15 of 30 ticks", got)
	}
}

// The kernel counts in ticks of 10 ms, and on a busy machine it takes a while to get one.
func TestOwnProcessHasTimeAndMemory(t *testing.T) {
	self := []int{os.Getpid()}
	start := CPU(self)
	for began := time.Now(); CPU(self) <= start; {
		if time.Since(began) > time.Minute {
			t.Fatal("a minute of spinning cost nothing")
		}
	}
	if m := MemoryOf(self); m.PSS == 0 || m.RSS < m.PSS {
		t.Errorf("memory %+v", m)
	}
}

func TestTreeFindsChildren(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip("no sleep command")
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if tree := Tree([]int{os.Getpid()}); !slices.Contains(tree, cmd.Process.Pid) {
		t.Errorf("tree %v lacks %d", tree, cmd.Process.Pid)
	}
}
