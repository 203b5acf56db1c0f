// Package corpus reads recorded traffic with model providers into one form,
// for the tests that hold the codecs to their laws and for a server that
// replays it.
//
// It owns the formats in which other projects keep recordings: Ruby VCR, vcrpy
// with its variants, go-vcr, httprr traces, and the event and answer files of
// an SDK's fixtures. It tells formats apart by their content, so a folder that
// nobody has seen reads as well. It never judges what a recording says, never
// writes, and never keeps a recording in the project.
//
// Start reading at [Load].
package corpus

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"tailplane/internal/llm"
)

// Recording is one exchange with a provider.
type Recording struct {
	File  string // path below the corpus, with slashes
	Index int    // position in its file, from 0

	// Provider is a guess from the address or the path: "openai", "groq", ...;
	// empty when there is no clue.
	Provider string
	// Surface is the dialect that both sides spoke, or empty: then Other says
	// what the exchange is instead.
	Surface llm.Dialect
	Other   string

	Method string // upper case; empty when only an answer was recorded
	URL    string // as recorded, placeholders included
	Path   string // of URL, without the query
	// Request is the request body when it is a JSON object, else nil.
	Request []byte

	Status int // of the answer; a guess where only its body was recorded
	Header http.Header
	// Body is the answer, without transfer and content encoding.
	Body []byte
	// ByteExact says that Body is what was on the wire; otherwise a serialiser
	// stood between, and only its events or its JSON value count.
	ByteExact bool
	Streamed  bool // Body is a stream of events
}

// Name is the recording's address in a report: its file and position.
func (r *Recording) Name() string { return fmt.Sprintf("%s#%d", r.File, r.Index) }

// Folder is the first element of File: the project that it comes from.
func (r *Recording) Folder() string {
	first, _, _ := strings.Cut(r.File, "/")
	return first
}

// Report says what became of the files.
type Report struct {
	Files      int      // files that are recordings
	Empty      []string // files with nothing in them
	Ignored    []string // licences and tables: files that are no recordings
	Unreadable []error  // recordings that the reader could not read
}

// Dir is where the recordings are: $TAILPLANE_CORPUS, else ../shared/corpus
// beside the repository; ok is false when there is no such folder.
func Dir() (dir string, ok bool) {
	dir = os.Getenv("TAILPLANE_CORPUS")
	if dir == "" {
		root, found := repository()
		if !found {
			return "", false
		}
		dir = filepath.Join(root, "..", "shared", "corpus")
	}
	info, err := os.Stat(dir)
	return dir, err == nil && info.IsDir()
}

// repository is the nearest folder upwards that holds go.mod.
func repository() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}

// Load reads every recording below dir, in the order of their paths. The error
// is that of walking the folder; what a single file suffers from is in the
// report. It uses all processors.
func Load(dir string) ([]Recording, Report, error) {
	names, err := list(dir)
	if err != nil {
		return nil, Report{}, fmt.Errorf("list the recordings of %s: %w", dir, err)
	}
	results := make([]result, len(names))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				results[i] = load(dir, names[i])
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	workers.Wait()
	return gather(names, results)
}

// result is what one file gave.
type result struct {
	recordings []Recording
	verdict    verdict
	err        error
}

type verdict uint8

const (
	readable verdict = iota
	empty
	ignored
)

func list(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	return names, err
}

func gather(names []string, results []result) ([]Recording, Report, error) {
	var all []Recording
	var report Report
	for i, r := range results {
		switch {
		case r.err != nil:
			report.Files++
			report.Unreadable = append(report.Unreadable, fmt.Errorf("%s: %w", names[i], r.err))
		case r.verdict == empty:
			report.Files++
			report.Empty = append(report.Empty, names[i])
		case r.verdict == ignored:
			report.Ignored = append(report.Ignored, names[i])
		default:
			report.Files++
			all = append(all, r.recordings...)
		}
	}
	return all, report, nil
}

func load(dir, name string) result {
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return result{err: err}
	}
	recordings, verdict, err := parse(name, data)
	for i := range recordings {
		r := &recordings[i]
		r.File, r.Index = name, i
		classify(r)
	}
	return result{recordings, verdict, err}
}

// parse chooses the format by the file's ending and content.
func parse(name string, data []byte) ([]Recording, verdict, error) {
	text := strings.TrimSpace(string(data[:min(len(data), 1<<10)]))
	switch ext := filepath.Ext(name); {
	case ext == "" || ext == ".tsv" || ext == ".md":
		return nil, ignored, nil
	case text == "":
		return nil, empty, nil
	case strings.HasPrefix(text, httprrMagic):
		out, err := parseHTTPRR(data)
		if err == nil && len(out) == 0 {
			return nil, empty, nil
		}
		return out, readable, err
	case strings.HasSuffix(name, ".chunks.txt"):
		out, err := parseChunks(name, data)
		return out, readable, err
	case ext == ".json" && !slices.ContainsFunc(cassetteKeys, func(k string) bool { return strings.Contains(text, `"`+k+`"`) }):
		out, err := parseAnswer(name, data)
		return out, readable, err
	case ext == ".yaml" || ext == ".yml" || ext == ".json":
		return parseCassette(data)
	}
	return nil, ignored, nil
}
