//go:build linux

// Package sock owns the raw sockets of the benchmark programs: one epoll set
// per program, non-blocking TCP over loopback, and the monotonic clock both
// sides stamp with. It never blocks outside Wait and never starts a goroutine,
// so that the cost of mock and generator stays small and the same from run to
// run. Start reading at Poll.
package sock

import (
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// Readiness bits of an Event, as epoll_ctl(2) names them.
const (
	In  = syscall.EPOLLIN
	Out = syscall.EPOLLOUT
	// Gone is set when the peer has closed or the connection is broken.
	Gone = syscall.EPOLLHUP | syscall.EPOLLERR
)

// Poll is one level-triggered epoll set, owned by one goroutine.
type Poll struct {
	fd     int
	events [512]syscall.EpollEvent
}

// Event says that FD is ready for Bits.
type Event struct {
	FD   int
	Bits uint32
}

// NewPoll opens an epoll set.
func NewPoll() (*Poll, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open an epoll set: %w", err)
	}
	return &Poll{fd: fd}, nil
}

// Add watches fd for bits; Change replaces them. Closing fd ends the watch.
func (p *Poll) Add(fd int, bits uint32) error {
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: bits, Fd: int32(fd)})
}

// Change replaces the bits that fd is watched for.
func (p *Poll) Change(fd int, bits uint32) error {
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &syscall.EpollEvent{Events: bits, Fd: int32(fd)})
}

// Wait appends what is ready to out, waiting at most limit, rounded up to a
// millisecond; a negative limit waits for ever.
func (p *Poll) Wait(limit time.Duration, out []Event) ([]Event, error) {
	ms := -1
	if limit >= 0 {
		ms = int((limit + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := syscall.EpollWait(p.fd, p.events[:], ms)
	if err == syscall.EINTR {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("wait for sockets: %w", err)
	}
	for _, e := range p.events[:n] {
		out = append(out, Event{FD: int(e.Fd), Bits: e.Events})
	}
	return out, nil
}

// Listen opens a non-blocking listener on an IPv4 loopback address. Port 0
// takes a free one; the address that was bound is returned.
func Listen(addr netip.AddrPort) (int, netip.AddrPort, error) {
	if !addr.Addr().Is4() || !addr.Addr().IsLoopback() {
		return -1, addr, fmt.Errorf("listen on %s: only an IPv4 loopback address is allowed", addr)
	}
	fd, err := open()
	if err != nil {
		return -1, addr, err
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return -1, addr, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if err := syscall.Bind(fd, inet4(addr)); err != nil {
		return -1, addr, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if err := syscall.Listen(fd, 4096); err != nil {
		return -1, addr, fmt.Errorf("listen on %s: %w", addr, err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return -1, addr, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if in, ok := name.(*syscall.SockaddrInet4); ok {
		addr = netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
	}
	return fd, addr, nil
}

// Accept takes one waiting connection, or ok = false when there is none.
func Accept(listener int) (fd int, ok bool) {
	fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	if err != nil {
		return -1, false
	}
	noDelay(fd)
	return fd, true
}

// Dial starts a connection; it is ready when Out is, and failed when Gone is.
func Dial(addr netip.AddrPort) (int, error) {
	fd, err := open()
	if err != nil {
		return -1, err
	}
	noDelay(fd)
	if err := syscall.Connect(fd, inet4(addr)); err != nil && err != syscall.EINPROGRESS {
		_ = syscall.Close(fd)
		return -1, fmt.Errorf("dial %s: %w", addr, err)
	}
	return fd, nil
}

// Alarm is a timer descriptor that becomes ready at a time of Now, to the
// nanosecond, where Wait's own limit counts in milliseconds.
func Alarm() (int, error) {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, 1, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return -1, fmt.Errorf("open a timer: %w", errno)
	}
	return int(fd), nil
}

// SetAlarm makes an alarm ready at a time of Now, and unready until then.
func SetAlarm(fd int, at int64) {
	spec := [2]syscall.Timespec{1: syscall.NsecToTimespec(max(1, at))}
	const absolute = 1
	_, _, _ = syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(fd), absolute, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	runtime.KeepAlive(&spec)
}

// Read fills b with what has arrived. again says that nothing has; n = 0
// without again is the end of the connection, clean or not.
func Read(fd int, b []byte) (n int, again bool) {
	return transfer(syscall.SYS_READ, fd, b)
}

// Write sends what the socket takes of b; n = 0 without again is a broken
// connection.
func Write(fd int, b []byte) (n int, again bool) {
	return transfer(syscall.SYS_WRITE, fd, b)
}

// Close ends a connection.
func Close(fd int) { _ = syscall.Close(fd) }

// Reset ends a connection with RST, as a process that dies does with unread
// data.
func Reset(fd int) {
	_ = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	_ = syscall.Close(fd)
}

// Now is CLOCK_MONOTONIC in nanoseconds: the same clock in every process of
// this machine.
func Now() int64 { return clock(1) }

// ThreadCPU is CLOCK_THREAD_CPUTIME_ID in nanoseconds; the caller holds its
// thread.
func ThreadCPU() int64 { return clock(3) }

// Pin binds the calling thread, which the caller has locked, to one core.
func Pin(core int) error {
	var mask [16]uint64
	if core < 0 || core >= len(mask)*64 {
		return fmt.Errorf("pin to core %d: out of range", core)
	}
	mask[core/64] = 1 << (core % 64)
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask[0])))
	if errno != 0 {
		return fmt.Errorf("pin to core %d: %w", core, errno)
	}
	return nil
}

// The non-blocking calls go past the scheduler's bookkeeping: they return at
// once and the program has one goroutine that matters.
func transfer(call uintptr, fd int, b []byte) (int, bool) {
	if len(b) == 0 {
		return 0, true
	}
	for range 100 {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		runtime.KeepAlive(b)
		switch errno {
		case 0:
			return int(n), false
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true
		default:
			return 0, false
		}
	}
	return 0, true
}

func clock(id uintptr) int64 {
	var t syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&t)), 0)
	if errno != 0 {
		panic("sock: clock_gettime failed: " + errno.Error())
	}
	return t.Nano()
}

func open() (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket: %w", err)
	}
	return fd, nil
}

func noDelay(fd int) { _ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) }

func inet4(addr netip.AddrPort) *syscall.SockaddrInet4 {
	return &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
}
