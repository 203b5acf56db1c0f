// Package kube finds replicas in the EndpointSlices of a Kubernetes cluster.
//
// It owns the client to the API server (in a cluster, or by a kubeconfig), the
// watch, and what the conditions of slices mean. It reads slices and nothing
// else, writes nothing, and dials by the dialer that it is given alone.
//
// It stands apart from package discover so that client-go stays in one place,
// and client-go's typed clients, which bring every API group there is, stay out
// of the binary: one resource is read, with a scheme of its own.
//
// Start reading at [New]; slices.go is pure.
package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"tailplane/internal/discover"
	"tailplane/internal/egress"
)

// Options are what a source needs beside its config.
type Options struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Log  *slog.Logger
}

// New makes the source of a valid config. It reads files and variables and asks
// nobody.
func New(k discover.Kubernetes, o Options) (discover.Discoverer, error) {
	access, namespace, err := accessOf(k)
	if err != nil {
		return nil, err
	}
	selector, err := labels.Parse(k.Labels())
	if err != nil {
		return nil, fmt.Errorf("selector: %w", err)
	}
	client, err := clientOf(access, o.Dial)
	if err != nil {
		return nil, err
	}
	return &watcher{
		port: k.Port, log: o.Log,
		slices: lister(client, namespace, selector.String()),
	}, nil
}

// Destinations is the API server of a config. It is empty when that cannot be
// found on this machine.
func Destinations(k discover.Kubernetes, target string) []egress.Destination {
	access, _, err := accessOf(k)
	if err != nil {
		return nil
	}
	u, err := url.Parse(access.Host)
	if err != nil || u.Host == "" {
		u, err = url.Parse("https://" + access.Host)
	}
	if err != nil || u.Hostname() == "" {
		return nil
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return []egress.Destination{{Address: net.JoinHostPort(u.Hostname(), port), Why: "kubernetes, replicas of target " + target}}
}

// Check reports why a config cannot be used on this machine; nil when it can.
func Check(k discover.Kubernetes) error {
	_, _, err := accessOf(k)
	return err
}

// ownNamespace is where a pod finds which namespace it is in.
const ownNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// accessOf finds the cluster: by the kubeconfig that is named, else the one
// around this process, else by the kubeconfig that the environment names.
func accessOf(k discover.Kubernetes) (access *rest.Config, namespace string, err error) {
	path := k.Kubeconfig
	if path == "" {
		access, err := rest.InClusterConfig()
		if err == nil {
			text, _ := os.ReadFile(ownNamespace) // without one it is "default"
			return access, cmp.Or(k.Namespace, strings.TrimSpace(string(text)), metav1.NamespaceDefault), nil
		}
		if !errors.Is(err, rest.ErrNotInCluster) {
			return nil, "", fmt.Errorf("the cluster around: %w", err)
		}
		if path = os.Getenv(clientcmd.RecommendedConfigPathEnvVar); path == "" {
			return nil, "", errors.New("this is no pod, and no kubeconfig is named; add `kubeconfig:`, or set KUBECONFIG")
		}
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{Precedence: strings.Split(path, string(os.PathListSeparator))}, &clientcmd.ConfigOverrides{})
	if k.Kubeconfig != "" {
		loader = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{ExplicitPath: path}, &clientcmd.ConfigOverrides{})
	}
	if access, err = loader.ClientConfig(); err != nil {
		return nil, "", fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	own, _, err := loader.Namespace()
	return access, cmp.Or(k.Namespace, own), err
}

// dialTime bounds one connect to the API server.
const dialTime = 10 * time.Second

// clientOf is a client that knows EndpointSlices alone.
func clientOf(access *rest.Config, dial func(context.Context, string, string) (net.Conn, error)) (rest.Interface, error) {
	known := runtime.NewScheme()
	if err := discoveryv1.AddToScheme(known); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(known, discoveryv1.SchemeGroupVersion)
	c := rest.CopyConfig(access)
	c.APIPath, c.GroupVersion = "/apis", &discoveryv1.SchemeGroupVersion
	c.NegotiatedSerializer = serializer.NewCodecFactory(known).WithoutConversion()
	c.UserAgent, c.WarningHandler = "tailplane", rest.NoWarnings{}
	c.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil } // the dialer knows the way
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		return dial(ctx, network, address)
	}
	return rest.RESTClientFor(c)
}
