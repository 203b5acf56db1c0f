package app

import (
	"context"
	"fmt"

	"tailplane/internal/account"
	"tailplane/internal/config"
	"tailplane/internal/egress"
	"tailplane/internal/notify"
	"tailplane/internal/secret"
)

// openNotifier makes what tells the webhook of a file; nil where there is none.
func (s *Server) openNotifier(f *config.File) (*notify.Notifier, error) {
	if f.Notify.Webhook == "" {
		return nil, nil
	}
	address, plain := f.Notify.Address()
	hook := secret.Plain(address)
	var err error
	if !plain {
		if hook, err = f.Notify.Ref().Read(context.Background(), s.resolvers); err != nil {
			return nil, fmt.Errorf("notify.webhook: %w", err)
		}
	}
	var sign secret.Value
	if !f.Notify.Secret.IsZero() {
		if sign, err = f.Notify.Secret.Read(context.Background(), s.resolvers); err != nil {
			return nil, fmt.Errorf("notify.secret: %w", err)
		}
	}
	way, err := egress.NewWay(f.Egress, egress.Override{})
	if err != nil {
		return nil, err
	}
	dialer, err := s.network.Dialer(way)
	if err != nil {
		return nil, err
	}
	n, err := notify.New(notify.Options{Webhook: hook, Secret: sign, Client: dialer.HTTPClient("webhook"), Site: f.Site.Name, Log: s.log.Logger})
	if err != nil {
		return nil, fmt.Errorf("notify.webhook: %w", err)
	}
	s.metrics.Gauge("notify_waiting", "Events that wait for the webhook.", func() float64 { return float64(n.Stats().Waiting) })
	s.metrics.Gauge("notify_dropped", "Events that were given up: too many waited, or the webhook did not take them in time.", func() float64 { return float64(n.Stats().Dropped + n.Stats().Failed) })
	return n, nil
}

// warn tells that a share of a budget is spent: in the log, as a metric and to the
// webhook.
func (s *Server) warn(w account.Warning) {
	s.log.Warn("a share of a budget is spent", "level", w.Level.String(), "name", w.Name, "share_percent", w.Share, "says", w.String())
	s.metrics.BudgetWarnings.WithLabelValues(w.Level.String()).Inc()
	if s.notifier != nil {
		s.notifier.Send("budget.warning", w)
	}
}
