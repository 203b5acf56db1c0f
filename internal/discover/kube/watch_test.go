package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"tailplane/internal/discover"
)

// soon is how a reflector waits in tests.
func soon() *wait.Backoff { return &wait.Backoff{Duration: time.Millisecond, Factor: 1, Steps: 1} }

// following runs a source and returns what it says; it is joined with the test.
func following(t *testing.T, d discover.Discoverer) <-chan discover.Answer {
	t.Helper()
	up, done := make(chan discover.Answer), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { defer close(done); _ = d.Run(ctx, up) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("the source does not end")
		}
	})
	return up
}

// until takes answers until one says what is wanted: endpoints, or "! " and a
// part of an error.
func until(t *testing.T, up <-chan discover.Answer, want string) {
	t.Helper()
	last := "nothing"
	late := time.After(10 * time.Second)
	for {
		select {
		case a := <-up:
			last = said(a.Endpoints)
			if a.Err != nil {
				last = "! " + a.Err.Error()
			}
			if part, failing := strings.CutPrefix(want, "! "); failing && a.Err != nil && strings.Contains(last, part) || last == want {
				return
			}
		case <-late:
			t.Fatalf("it said %s at last, want %s", last, want)
		}
	}
}

// TestSlicesComeAndGo against client-go's own fake.
func TestSlicesComeAndGo(t *testing.T) {
	http := []string{"http=8000"}
	client := fake.NewClientset(slice("a", v4, http, "10.0.0.7 p1"))
	api := client.DiscoveryV1().EndpointSlices("models")
	watched := make(chan struct{}, 16)
	lw := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return api.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := api.Watch(ctx, o)
			if err == nil {
				watched <- struct{}{}
			}
			return w, err
		},
	}, client)
	up := following(t, &watcher{log: slog.New(slog.DiscardHandler), slices: cache.ToListerWatcherWithContext(lw), backoff: soon()})
	until(t, up, "p1@10.0.0.7:8000/rs")
	<-watched // unlike a server, the fake tells nothing of what was between a list and the watch
	change := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	create := func(s *discoveryv1.EndpointSlice) error {
		_, err := api.Create(t.Context(), s, metav1.CreateOptions{})
		return err
	}
	update := func(s *discoveryv1.EndpointSlice) error {
		_, err := api.Update(t.Context(), s, metav1.UpdateOptions{})
		return err
	}
	change(create(slice("b", v4, http, "10.0.0.8 p2")))
	until(t, up, "p1@10.0.0.7:8000/rs p2@10.0.0.8:8000/rs")
	change(update(slice("a", v4, http, "10.0.0.7 p1 -r +s +t", "10.0.0.9 p3")))
	until(t, up, "p1@10.0.0.7:8000/st p3@10.0.0.9:8000/rs p2@10.0.0.8:8000/rs")
	change(api.Delete(t.Context(), "a", metav1.DeleteOptions{}))
	until(t, up, "p2@10.0.0.8:8000/rs")
}

// apiServer answers requests for slices in the order of its script: each entry
// is what one request is given.
type apiServer struct {
	*httptest.Server
	steps chan step
	asked chan string
}

// step answers one request. hold keeps its stream open until it is closed.
type step struct {
	list   []*discoveryv1.EndpointSlice // of a list
	rv     string
	status int // of a failure
	reason metav1.StatusReason
	events []watch.Event // of a watch
	hold   chan struct{}
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{steps: make(chan step, 16), asked: make(chan string, 64)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("sendInitialEvents") == "true" { // a server that is older than that
		fail(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
		return
	}
	what := "list"
	if q.Get("watch") != "" {
		what = "watch from " + q.Get("resourceVersion")
	}
	select {
	case s.asked <- what + " " + r.URL.Path + " " + q.Get("labelSelector"):
	default:
	}
	var now step
	select {
	case now = <-s.steps:
	case <-r.Context().Done():
		return
	}
	switch {
	case now.status != 0:
		fail(w, now.status, now.reason)
	case what == "list":
		list := discoveryv1.EndpointSliceList{TypeMeta: metav1.TypeMeta{Kind: "EndpointSliceList", APIVersion: "discovery.k8s.io/v1"}}
		list.ResourceVersion = now.rv
		for _, one := range now.list {
			list.Items = append(list.Items, *one)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	default:
		w.Header().Set("Content-Type", "application/json")
		for _, e := range now.events {
			_ = json.NewEncoder(w).Encode(map[string]any{"type": e.Type, "object": e.Object})
		}
		w.(http.Flusher).Flush()
		if now.hold != nil {
			select {
			case <-now.hold:
			case <-r.Context().Done():
			}
		}
	}
}

func fail(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(status(code, reason))
}

func status(code int, reason metav1.StatusReason) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: "as the script says: " + string(reason),
	}
}

// event is a change of a slice at a version.
func event(kind watch.EventType, s *discoveryv1.EndpointSlice, rv string) watch.Event {
	s.ResourceVersion = rv
	s.TypeMeta = metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"}
	return watch.Event{Type: kind, Object: s}
}

// source is a source that reaches the server by a kubeconfig and a dialer of its
// own.
func (s *apiServer) source(t *testing.T, dialed chan<- string) *watcher {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {token: secret-of-the-test}}]
contexts: [{name: here, context: {cluster: c, user: u, namespace: models}}]
`, s.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := New(discover.Kubernetes{Service: "vllm", Port: "http", Kubeconfig: path}, Options{
		Log: slog.New(slog.DiscardHandler),
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			select {
			case dialed <- address:
			default: // nobody asks
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := d.(*watcher)
	w.backoff = soon()
	return w
}

// TestTheWatchIsCutAndBeginsAgain: from where it was, without a new list.
func TestTheWatchIsCutAndBeginsAgain(t *testing.T) {
	http8000 := []string{"http=8000"}
	s := newAPIServer(t)
	dialed := make(chan string, 16)
	cut := make(chan struct{})
	s.steps <- step{list: []*discoveryv1.EndpointSlice{slice("a", v4, http8000, "10.0.0.7 p1")}, rv: "10"}
	s.steps <- step{events: []watch.Event{event(watch.Added, slice("b", v4, http8000, "10.0.0.8 p2"), "11")}, hold: cut}
	up := following(t, s.source(t, dialed))
	until(t, up, "p1@10.0.0.7:8000/rs")
	until(t, up, "p1@10.0.0.7:8000/rs p2@10.0.0.8:8000/rs")
	s.steps <- step{events: []watch.Event{event(watch.Deleted, slice("a", v4, http8000, "10.0.0.7 p1"), "12")}, hold: make(chan struct{})}
	close(cut)
	until(t, up, "p2@10.0.0.8:8000/rs")
	const at = " /apis/discovery.k8s.io/v1/namespaces/models/endpointslices kubernetes.io/service-name=vllm"
	for _, want := range []string{"list" + at, "watch from 10" + at, "watch from 11" + at} {
		if got := <-s.asked; got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
	if got := <-dialed; got != strings.TrimPrefix(s.URL, "http://") {
		t.Errorf("the dialer was asked for %s", got)
	}
}

// TestTheServerHasForgotten: 410 Gone, told in the stream and to a request, leads
// to a new list, which tells what has gone meanwhile.
func TestTheServerHasForgotten(t *testing.T) {
	http8000 := []string{"http=8000"}
	for _, inStream := range []bool{true, false} {
		s := newAPIServer(t)
		s.steps <- step{list: []*discoveryv1.EndpointSlice{slice("a", v4, http8000, "10.0.0.7 p1")}, rv: "10"}
		if inStream {
			s.steps <- step{events: []watch.Event{{Type: watch.Error, Object: status(http.StatusGone, metav1.StatusReasonExpired)}}}
		} else {
			s.steps <- step{status: http.StatusGone, reason: metav1.StatusReasonExpired}
		}
		s.steps <- step{list: []*discoveryv1.EndpointSlice{slice("c", v4, http8000, "10.0.0.9 p3")}, rv: "500"}
		s.steps <- step{hold: make(chan struct{})}
		up := following(t, s.source(t, nil))
		until(t, up, "p1@10.0.0.7:8000/rs")
		until(t, up, "p3@10.0.0.9:8000/rs")
	}
}

// TestAServerThatFails: what it refuses is told as a failure, and it is asked
// again.
func TestAServerThatFails(t *testing.T) {
	s := newAPIServer(t)
	s.steps <- step{status: http.StatusForbidden, reason: metav1.StatusReasonForbidden}
	s.steps <- step{status: http.StatusInternalServerError, reason: metav1.StatusReasonInternalError}
	s.steps <- step{list: []*discoveryv1.EndpointSlice{slice("a", v4, []string{"http=8000"}, "10.0.0.7 p1")}, rv: "10"}
	s.steps <- step{hold: make(chan struct{})}
	up := following(t, s.source(t, nil))
	until(t, up, "! Forbidden")
	until(t, up, "! InternalError")
	until(t, up, "p1@10.0.0.7:8000/rs")
	_ = s.Listener.Close() // first: a watch that begins anew would be waited for
	s.CloseClientConnections()
	s.Close() // the watch is cut, and nobody is there any more
	until(t, up, "! connection refused")
}

func TestWhichClusterIsAsked(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if err := Check(discover.Kubernetes{Service: "a"}); err == nil || !strings.Contains(err.Error(), "no kubeconfig is named") {
		t.Errorf("without a cluster: %v", err)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	if err := Check(discover.Kubernetes{Service: "a", Kubeconfig: gone}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), gone) {
		t.Errorf("without its kubeconfig: %v", err)
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte("{apiVersion: v1, kind: Config, current-context: x, clusters: [{name: c, cluster: {server: \"https://api.example\"}}], contexts: [{name: x, context: {cluster: c}}]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
	if err := Check(discover.Kubernetes{Service: "a"}); err != nil {
		t.Error(err)
	}
	if got := Destinations(discover.Kubernetes{Service: "a"}, "llama"); len(got) != 1 || got[0].Address != "api.example:443" {
		t.Errorf("the API server is %v", got)
	}
}

// refusing is a server that fails in one way.
type refusing struct {
	cache.ListerWatcherWithContext
	err error
}

func (r refusing) WatchWithContext(context.Context, metav1.ListOptions) (watch.Interface, error) {
	return nil, r.err
}

// TestWhatAWatchTells: a server that answers that it does not stream what there is, is
// asked for a list next; one that does not answer, or is too busy, is asked the same again.
func TestWhatAWatchTells(t *testing.T) {
	for _, c := range []struct {
		err            error
		streamed, tell bool
	}{
		{apierrors.NewInvalid(schema.GroupKind{}, "x", nil), true, false},
		{apierrors.NewInvalid(schema.GroupKind{}, "x", nil), false, true},
		{apierrors.NewTooManyRequests("busy", 1), true, true},
		{syscall.ECONNREFUSED, true, true},
		{syscall.ECONNREFUSED, false, true},
		{nil, true, false},
	} {
		told := false
		n := &noticing{refusing{err: c.err}, func(discover.Answer) { told = true }}
		o := metav1.ListOptions{}
		if c.streamed {
			o.SendInitialEvents = new(true)
		}
		if _, err := n.WatchWithContext(t.Context(), o); !errors.Is(err, c.err) || told != c.tell {
			t.Errorf("%v, streamed %v: told %v, %v", c.err, c.streamed, told, err)
		}
	}
}
