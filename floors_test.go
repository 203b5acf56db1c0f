package tailplane_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// floors is the house: an import only goes to a strictly lower floor. DESIGN.md
// section 4 has the reasons.
var floors = map[string]int{
	"llm": 0, "wire": 0, "http1": 0, "secret": 0, "sigv4": 0, "suggest": 0, "busy": 0, "pg": 0, "prefix": 0,
	"facts": 1, "account": 1,
	"oidc": 2, "notify": 2, "reconcile": 2, "statement": 4,
	"dialect": 1, "egress": 1, "engine": 1, "h1": 1, "httpd": 1, "ledger": 1, "owner": 1, "telemetry": 1,
	"credential": 2, "models": 2, "fleet": 2, "meter": 2, "sim": 2,
	"queue": 1, "queue/queuesim": 3, "rules": 1, "kvevents": 2, "complexity": 1,
	"catalog": 3, "policy": 3, "route": 3, "upstream": 3,
	"watch": 4, "discover": 2, "discover/kube": 3, "gossip": 4,
	"gateway": 4, "admin": 4, "importer": 4, "probe": 4, "replay": 4,
	"config": 5,
	"app":    6, "cli": 6,
}

// testOnly are packages that only tests and generators import.
var testOnly = []string{"llmtest", "facts/factstest", "ledger/storetest", "meter/genprices", "catalog/gencatalog"}

// monopolies are modules that exactly the named packages may import, each with
// the reason.
var monopolies = map[string]struct {
	packages []string
	why      string
}{
	"github.com/go-json-experiment/json":                    {nil, "it is the oracle of wire's tests; codecs read and write with wire"},
	"github.com/santhosh-tekuri/jsonschema/v6":              {nil, "it is the oracle of the answers on OpenAI's surfaces; bodies are read and written by codecs"},
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream": {nil, "it is the oracle of wire's tests; frames are read and written by wire"},

	"go.yaml.in/yaml/v4":                  {[]string{"config", "importer"}, "the parser can be replaced in two places: the one that reads our files, and the one that reads those of others"},
	"modernc.org/sqlite":                  {[]string{"ledger", "facts"}, "the store is a detail of the ledger and of the facts"},
	"github.com/jackc/pgx/v5":             {[]string{"pg", "ledger", "facts", "account"}, "who keeps something in the shared database brings its own tables"},
	"github.com/coreos/go-oidc/v3":        {[]string{"oidc"}, "tokens are verified in one place"},
	"github.com/go-jose/go-jose/v4":       {[]string{"oidc"}, "tokens are verified in one place"},
	"github.com/prometheus/client_golang": {[]string{"telemetry"}, "metric names stand in one place"},
	"github.com/aws/aws-sdk-go-v2":        {[]string{"credential"}, "the SDK resolves identities and nothing else"},
	"github.com/Azure/azure-sdk-for-go":   {[]string{"credential"}, "the SDK resolves identities and nothing else"},
	"golang.org/x/oauth2":                 {[]string{"credential"}, "it resolves identities and nothing else"},
	"k8s.io/client-go":                    {[]string{"discover/kube"}, "the cluster is asked in one place"},
	"k8s.io/apimachinery":                 {[]string{"discover/kube"}, "the cluster is asked in one place"},
	"k8s.io/api":                          {[]string{"discover/kube"}, "the cluster is asked in one place"},
	"github.com/hashicorp/memberlist":     {[]string{"gossip"}, "who is a member is known in one place"},
	"github.com/spf13/cobra":              {[]string{"cli"}, "the command line is one package"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./internal/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// outward is what opens connections or makes somebody else do it.
var outward = regexp.MustCompile(`\bnet\.(Dial\w*\(|Dialer\{)|\btls\.Dial|\bhttp\.(DefaultClient|DefaultTransport|Client\{|Transport\{|Get\(|Post\w*\()`)

// mayDial are the packages that may, beside tests, each with the reason.
var mayDial = map[string]string{
	"internal/egress": "it is the way out",
	"internal/cli":    "it asks the program that runs on this machine, from a process of its own",
	"internal/h1":     "it has a default for those who give it no dialer, as its benchmarks; package app gives it egress's",
}

// TestThereIsOneWayOut: what is dialed elsewhere would pass by the policy and
// the book.
func TestThereIsOneWayOut(t *testing.T) {
	err := filepath.WalkDir("internal", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if found := outward.Find(text); found != nil && mayDial[filepath.ToSlash(filepath.Dir(path))] == "" && !isTestOnly(strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "internal/")) {
			t.Errorf("%s says %s; connections are opened by internal/egress", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

const internal = "tailplane/internal/"

func TestImportsGoToALowerFloor(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, internal)
		if isTestOnly(name) {
			continue
		}
		floor, known := floors[name]
		if !known {
			t.Errorf("%s has no floor; give it one in floors_test.go and in DESIGN.md", name)
			continue
		}
		for _, imp := range p.Imports {
			below, ours := strings.CutPrefix(imp, internal)
			switch {
			case !ours:
			case isTestOnly(below):
				t.Errorf("%s imports %s, which is for tests", name, below)
			case floors[below] >= floor:
				t.Errorf("%s (floor %d) imports %s (floor %d): an import goes to a strictly lower floor", name, floor, below, floors[below])
			}
		}
	}
}

func TestModulesStayWhereTheyBelong(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, internal)
		for module, m := range monopolies {
			if isTestOnly(name) || slices.Contains(m.packages, name) {
				continue
			}
			if slices.ContainsFunc(p.Imports, func(imp string) bool { return imp == module || strings.HasPrefix(imp, module+"/") }) {
				t.Errorf("%s imports %s, which belongs to %v: %s", name, module, m.packages, m.why)
			}
		}
	}
}

func isTestOnly(name string) bool {
	return slices.ContainsFunc(testOnly, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
}

// mostLines is where a file is looked at again.
const mostLines = 500

// forbidden are words that code of ours does not contain, with the files that
// may.
var forbidden = []struct {
	what  string
	match *regexp.Regexp
	tests bool // in tests, too
}{
	{"an init function", regexp.MustCompile(`(?m)^func init\(\)`), true},
	{"unfinished work", regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`), true},
}

var (
	sleeps = regexp.MustCompile(`\btime\.Sleep\(`)
	// bubbles are the ways into a synctest bubble: its own, and the helpers of
	// test packages, which are all called so.
	bubbles = regexp.MustCompile(`\bsynctest\.Test\(|\b(bubble|inBubble)\(t, `)
)

func TestFilesKeepTheHouseRules(t *testing.T) {
	for _, root := range []string{"internal", "cmd", "bench", "conformance", "real"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			checkFile(t, path, text)
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func checkFile(t *testing.T, path string, text []byte) {
	isTest := strings.HasSuffix(path, "_test.go")
	if n := bytes.Count(text, []byte("\n")); n > mostLines && !isTest {
		t.Errorf("%s has %d lines, more than %d: one thing each?", path, n, mostLines)
	}
	for _, f := range forbidden {
		if (f.tests || !isTest) && f.match.Match(text) {
			t.Errorf("%s contains %s", path, f.what)
		}
	}
	// In a synctest bubble time is virtual and sleeping costs nothing.
	if isTest && sleeps.Match(text) && !bubbles.Match(text) {
		t.Errorf("%s sleeps outside of a bubble", path)
	}
}

// TestSizes prints where the lines are; it is read, not asserted.
func TestSizes(t *testing.T) {
	sizes := map[string][2]int{}
	_ = filepath.WalkDir("internal", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		pkg := strings.Split(filepath.ToSlash(path), "/")[1]
		s := sizes[pkg]
		i := 0
		if strings.HasSuffix(path, "_test.go") {
			i = 1
		}
		s[i] += bytes.Count(text, []byte("\n"))
		sizes[pkg] = s
		return err
	})
	var total [2]int
	var names []string
	for name, s := range sizes {
		names = append(names, name)
		total[0] += s[0]
		total[1] += s[1]
	}
	slices.Sort(names)
	for _, name := range names {
		t.Logf("%-10s %6d lines, %6d of tests", name, sizes[name][0], sizes[name][1])
	}
	t.Logf("%-10s %6d lines, %6d of tests", "total", total[0], total[1])
}
