//go:build linux

// Command mock is the upstream of the benchmark: an HTTP/1.1 server that costs
// little and always the same. It owns one epoll loop on one thread and answers
// from prebuilt bytes; it never parses JSON, never logs a request and listens
// on loopback only. The model's name in a request selects the answer
// (parseModel); GET /stats tells what was answered. Start reading at
// server.run.
package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "IPv4 loopback address and port; port 0 takes a free one, which is printed")
	flag.Parse()
	if err := serve(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "mock:", err)
		os.Exit(1)
	}
}

func serve(listen string) error {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
	addr, err := netip.ParseAddrPort(listen)
	if err != nil {
		return fmt.Errorf("read -listen: %w", err)
	}
	s, bound, err := newServer(addr)
	if err != nil {
		return err
	}
	fmt.Println(bound)
	return s.run(nil)
}
