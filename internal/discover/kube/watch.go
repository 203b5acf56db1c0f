package kube

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"tailplane/internal/discover"
)

// watcher follows the slices that a selector finds. The reflector of client-go
// lists and watches, begins again where a watch was cut, and lists anew where
// the server has forgotten (410 Gone); the watcher turns what it holds into
// answers, and failures of its requests as well.
type watcher struct {
	port    string
	log     *slog.Logger
	slices  cache.ListerWatcherWithContext
	backoff *wait.Backoff // nil is the reflector's own, up to half a minute
}

// lister asks for the slices of a namespace.
func lister(client rest.Interface, namespace, selector string) *cache.ListWatch {
	return cache.NewFilteredListWatchFromClient(client, "endpointslices", namespace, func(o *metav1.ListOptions) {
		o.LabelSelector, o.FieldSelector = selector, fields.Everything().String()
	})
}

// Run follows until ctx ends.
func (w *watcher) Run(ctx context.Context, up chan<- discover.Answer) error {
	logger := logr.FromSlogHandler(w.log.Handler())
	tell := func(a discover.Answer) {
		a.At = time.Now()
		select {
		case up <- a:
		case <-ctx.Done():
		}
	}
	store := cache.NewUndeltaStore(func(held []any) { tell(answer(held, w.port)) }, cache.MetaNamespaceKeyFunc)
	reflector := cache.NewReflectorWithOptions(&noticing{w.slices, tell}, &discoveryv1.EndpointSlice{}, store, cache.ReflectorOptions{
		Name: "discover", Logger: &logger, Backoff: w.backoff,
	})
	reflector.RunWithContext(klog.NewContext(ctx, logger))
	return nil
}

// answer is what the slices that are held say.
func answer(held []any, port string) discover.Answer {
	slices := make([]*discoveryv1.EndpointSlice, 0, len(held))
	for _, one := range held {
		if s, ok := one.(*discoveryv1.EndpointSlice); ok {
			slices = append(slices, s)
		}
	}
	list, err := Endpoints(slices, port)
	return discover.Answer{Endpoints: list, Err: err}
}

// noticing tells of requests that fail.
type noticing struct {
	cache.ListerWatcherWithContext
	tell func(discover.Answer)
}

// List and Watch make it a cache.ListerWatcher, which the reflector asks for;
// it uses those with a context.
func (n *noticing) List(o metav1.ListOptions) (runtime.Object, error) {
	return n.ListWithContext(context.Background(), o)
}

// Watch is WatchWithContext without one.
func (n *noticing) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return n.WatchWithContext(context.Background(), o)
}

// ListWithContext lists.
func (n *noticing) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	list, err := n.ListerWatcherWithContext.ListWithContext(ctx, o)
	n.notice(ctx, err)
	return list, err
}

// WatchWithContext watches. Where a server answers that it does not stream what there
// is at the beginning, it is listed then, and that is no failure; where it does not
// answer, the reflector asks the same again and nobody else would tell.
func (n *noticing) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := n.ListerWatcherWithContext.WatchWithContext(ctx, o)
	if o.SendInitialEvents == nil || !isAnswer(err) {
		n.notice(ctx, err)
	}
	return w, err
}

// isAnswer reports whether err is what a server says, and not that it has too much to do.
func isAnswer(err error) bool {
	_, is := errors.AsType[*apierrors.StatusError](err)
	return is && !apierrors.IsTooManyRequests(err)
}

func (n *noticing) notice(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		n.tell(discover.Answer{Err: plain{err}})
	}
}

// plain is an error of the API server in one line.
type plain struct{ error }

func (p plain) Error() string { return strings.Join(strings.Fields(p.error.Error()), " ") }

func (p plain) Unwrap() error { return p.error }

// IsWatchListSemanticsUnSupported hands on what the client behind can do.
func (n *noticing) IsWatchListSemanticsUnSupported() bool {
	u, ok := n.ListerWatcherWithContext.(interface{ IsWatchListSemanticsUnSupported() bool })
	return ok && u.IsWatchListSemanticsUnSupported()
}
