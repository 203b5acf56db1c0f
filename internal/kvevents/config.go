package kvevents

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Config is the `kv_events:` section of a target.
type Config struct {
	// Endpoint is where the engine publishes, as this gateway reaches it:
	// tcp://HOST:PORT, or tcp://*:PORT at the host of the target. Empty: nothing is
	// listened to.
	Endpoint string `yaml:"endpoint"`
	// Topic is the beginning of the topics that are listened to. Empty: all.
	Topic string `yaml:"topic"`
	// Ranks is the number of data-parallel ranks of the engine, each of which
	// publishes at a port of its own, counted from the endpoint's. 0 and 1 are
	// one.
	Ranks int `yaml:"ranks"`
}

const (
	mostRanks = 256
	mostTopic = 255
)

// Validate reports every problem of the section, which stands at path.
func (c Config) Validate(path string, report func(path, wrong, right string)) {
	if c.Endpoint == "" {
		if c.Topic != "" || c.Ranks != 0 {
			report(path+".endpoint", "the section does not say where the engine publishes", "write `endpoint: tcp://HOST:5557`, or remove the section")
		}
		return
	}
	host, port, err := c.split()
	switch {
	case err != nil:
		report(path+".endpoint", fmt.Sprintf("%q is not where an engine can be reached", c.Endpoint), "write tcp://*:PORT for the host of the target, or tcp://HOST:PORT, such as tcp://10.0.0.7:5557")
	case host == "0.0.0.0" || host == "::":
		report(path+".endpoint", "this is where the engine listens, on any of its addresses", "write tcp://*:PORT for the host of the target, or its own, such as tcp://10.0.0.7:5557")
	case port+max(c.Ranks, 1)-1 > 65535:
		report(path+".ranks", "there are no ports for so many ranks", "use a lower port")
	}
	if len(c.Topic) > mostTopic {
		report(path+".topic", "it is too long", fmt.Sprintf("use %d bytes at most", mostTopic))
	}
	if c.Ranks < 0 || c.Ranks > mostRanks {
		report(path+".ranks", fmt.Sprintf("%d is out of range", c.Ranks), fmt.Sprintf("1 to %d; 1 is the default", mostRanks))
	}
}

// anyHost stands for the host of the target, as it does in what the engine is told.
const anyHost = "*"

// Anywhere reports whether the section is good for every host.
func (c Config) Anywhere() bool {
	host, _, err := c.split()
	return c.Endpoint == "" || err == nil && host == anyHost
}

// Addresses are the publishers of a section that is valid, one for each rank, of a
// target at that host; none where there is nothing to listen to.
func (c Config) Addresses(of string) []string {
	host, port, err := c.split()
	if err != nil {
		return nil
	}
	if host == anyHost {
		host = of
	}
	list := make([]string, 0, max(c.Ranks, 1))
	for rank := range max(c.Ranks, 1) {
		list = append(list, net.JoinHostPort(host, strconv.Itoa(port+rank)))
	}
	return list
}

func (c Config) split() (host string, port int, err error) {
	host, text, err := net.SplitHostPort(strings.TrimPrefix(c.Endpoint, "tcp://"))
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@ \t") {
		return "", 0, fmt.Errorf("%q is no address", c.Endpoint)
	}
	return host, int(n), nil
}
