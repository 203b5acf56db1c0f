package discover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestRecordsOfDNS(t *testing.T) {
	srv := func(target string, port, priority, weight uint16) *net.SRV {
		return &net.SRV{Target: target, Port: port, Priority: priority, Weight: weight}
	}
	cases := []struct {
		name string
		dns  DNS
		says *names
		want string // replicas, or the error
	}{
		{"addresses", DNS{Port: 8000}, &names{ips: []string{"10.0.0.8", "fd00::7", "10.0.0.7"}}, "10-0-0-7-8000 10-0-0-8-8000"},
		{"of the other family", DNS{Port: 8000, Type: "AAAA"}, &names{ips: []string{"10.0.0.8", "fd00::7"}}, "fd00--7-8000"},
		{"no name", DNS{Port: 8000}, &names{err: notFound}, ""},
		{"no name, which is a failure", DNS{Port: 8000, NotFound: "failure"}, &names{err: notFound}, "lookup vllm: no such host"},
		{"a failure", DNS{Port: 8000}, &names{err: errors.New("timeout")}, "timeout"},
		{"services", DNS{Type: "SRV"}, &names{records: []*net.SRV{srv("vllm-1.vllm.svc.", 8001, 0, 0), srv("vllm-0.vllm.svc.", 8000, 0, 0)}}, "vllm-0-8000 vllm-1-8001"},
		{
			"weights and priorities",
			DNS{Type: "SRV"},
			&names{records: []*net.SRV{srv("b.x.", 1, 20, 5), srv("a.x.", 1, 10, 60), srv("c.x.", 1, 10, 0)}},
			"a-1*60@0 b-1*5@1 c-1*1@0",
		},
		{"two ports of one host", DNS{Type: "SRV"}, &names{records: []*net.SRV{srv("a.x.", 1, 0, 0), srv("a.x.", 2, 0, 0)}}, "a-1 a-2"},
		{"decidedly not here", DNS{Type: "SRV"}, &names{records: []*net.SRV{srv(".", 0, 0, 0)}}, ""},
		{"some records that are none", DNS{Type: "SRV"}, &names{records: []*net.SRV{srv("a.x.", 1, 0, 0)}, err: errors.New("invalid names")}, "a-1"},
		{"one label twice", DNS{Type: "SRV"}, &names{records: []*net.SRV{srv("a.x.", 1, 0, 0), srv("a.y.", 1, 0, 0)}}, "a.x-1-b39fdf48 a.y-1-ff711179"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.dns.Name = "vllm"
			a := (&dns{config: c.dns, resolver: c.says}).look(t.Context())
			list, _ := sorted(a.Endpoints)
			got := shown(replicas("llama", list))
			if a.Err != nil {
				got = a.Err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestAFileThatIsWritten: the list before stays while somebody writes, and what a
// half of it says is never believed.
func TestAFileThatIsWritten(t *testing.T) {
	type step struct {
		text string // "-" is no file
		want string // replicas, or "! " and a part of the error
	}
	cases := []struct {
		name  string
		steps []step
	}{
		{"a new list is taken at its second sight", []step{
			{`["a:1"]`, "a-1"}, {`["a:1","b:1"]`, "a-1"}, {`["a:1","b:1"]`, "a-1 b-1"},
		}},
		{"torn, and not valid", []step{
			{`["a:1","b:1"]`, "a-1 b-1"}, {`["a:1","b`, "a-1 b-1"}, {`["a:1","b:1","c:1"]`, "a-1 b-1"}, {`["a:1","b:1","c:1"]`, "a-1 b-1 c-1"},
		}},
		{"torn, and valid by chance", []step{
			{`["a:1","b:1"]`, "a-1 b-1"}, {`["a:1"]`, "a-1 b-1"}, {`["a:1","b:1","c:1"]`, "a-1 b-1"}, {`["a:1","b:1","c:1"]`, "a-1 b-1 c-1"},
		}},
		{"torn for long", []step{
			{`["a:1"]`, "a-1"}, {`["a:1`, "a-1"}, {`["a:1`, "! unexpected end"}, {`["a:1`, "! unexpected end"}, {`["a:1"]`, "! unexpected end"}, {`["a:1"]`, "a-1"},
		}},
		{"emptied before it is written", []step{
			{`["a:1"]`, "a-1"}, {" \n", "! the file is empty"}, {`["b:1"]`, "a-1"}, {`["b:1"]`, "b-1"},
		}},
		{"away for a moment", []step{
			{`["a:1"]`, "a-1"}, {"-", "! file does not exist"}, {`["a:1"]`, "a-1"},
		}},
		{"no replica", []step{{`["a:1"]`, "a-1"}, {`[]`, "a-1"}, {`[]`, ""}}},
		{"not there at first", []step{{"-", "! file does not exist"}, {`["a:1"]`, "a-1"}}},
		{"with an entry that is none", []step{{`["a:1","b"]`, `! "b" is not an address with a port`}}},
		{"too large", []step{{`["` + strings.Repeat("a", largestFile) + `"]`, "! more than"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := ""
			w := &watched{
				config: File{Path: "replicas"},
				read: func(string) ([]byte, error) {
					if text == "-" {
						return nil, fs.ErrNotExist
					}
					return []byte(text), nil
				},
				decode: plainList,
			}
			for i, s := range c.steps {
				text = s.text
				a := w.look(time.Unix(int64(i), 0))
				got := shown(replicas("llama", a.Endpoints))
				if a.Err != nil {
					got = "! " + a.Err.Error()
				}
				if part, failing := strings.CutPrefix(s.want, "! "); failing && !strings.Contains(got, part) || !failing && got != s.want {
					t.Fatalf("look %d: got %q, want %q", i, got, s.want)
				}
				if a.At != time.Unix(int64(i), 0) {
					t.Errorf("look %d is of %v", i, a.At)
				}
			}
		})
	}
}

// plainList decodes a JSON list of addresses.
func plainList(_ string, text []byte) ([]Item, error) {
	var list []string
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	items := make([]Item, len(list))
	for i, a := range list {
		items[i].Address = a
	}
	return items, nil
}

func TestEntriesOfAFile(t *testing.T) {
	var wrong []string
	list := Endpoints([]Item{
		{Address: "10.0.0.7:8000", Weight: 3, Zone: "a", Node: "n1", Labels: []string{"h100"}},
		{Targets: []string{"[fd00::1]:8000", "host.example:1"}, Draining: true},
		{},
		{Address: "10.0.0.7"},
		{Address: "bad host:80"},
		{Address: "a:0"},
		{Address: "a:1", Weight: -1},
		{Targets: []string{"a:2", "a:3"}, Name: "x"},
		{Address: "c:1", Labels: []string{"EU"}},
	}, func(path, what, right string) { wrong = append(wrong, path+": "+what) })
	if got, want := shown(replicas("t", list)), "10-0-0-7-8000*3@0 -fd00--1-8000 -host-example-1 a-1 a-2-d860d141 a-3-579d74b9 c-1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if list[0].Zone != "a" || list[0].Node != "n1" || list[0].Labels[0] != "h100" || list[1].Ready || !list[1].Serving {
		t.Errorf("the endpoints are %+v", list[:2])
	}
	want := []string{
		"[2]: the entry has no address", `[3]: "10.0.0.7" is not an address with a port`, `[4]: "bad host" is neither a name nor an address`,
		`[5]: "0" is not a port`, "[6].weight: -1 is out of range", "[7].name: several addresses cannot have one name",
		`[8].labels[0]: "EU" is no label`,
	}
	if fmt.Sprint(wrong) != fmt.Sprint(want) {
		t.Errorf("the problems are\n%s\nwant\n%s", strings.Join(wrong, "\n"), strings.Join(want, "\n"))
	}
}
