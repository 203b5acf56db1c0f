package notify

import (
	"fmt"
	"net/url"
	"strings"

	"tailplane/internal/secret"
)

// Config is the `notify:` section of the file.
type Config struct {
	// Webhook is where events are posted: an https address, or a reference to one
	// where the address itself lets in (`env:NAME`, `file:/path`). Empty posts
	// nothing.
	Webhook string `yaml:"webhook"`
	// Secret signs what is posted; without one nothing is signed.
	Secret secret.Ref `yaml:"secret"`
}

// Validate reports every problem of the section.
func (c Config) Validate(report func(path, wrong, right string)) {
	if c.Webhook == "" {
		if !c.Secret.IsZero() {
			report("notify.secret", "there is a secret, and no webhook that it signs for", "add `webhook:`, or remove the secret")
		}
		return
	}
	if address, plain := c.Address(); plain {
		if err := checkAddress(address); err != nil {
			report("notify.webhook", err.Error(), "write https://HOST/PATH")
		}
		return
	}
	if _, err := secret.Parse(c.Webhook); err != nil {
		report("notify.webhook", "it is neither an address nor a reference to one", "write https://HOST/PATH, or env:NAME or file:/path where the address is secret")
	}
}

// Address is the webhook where the file tells it; else it is behind [Config.Ref].
func (c Config) Address() (address string, plain bool) {
	return c.Webhook, strings.HasPrefix(c.Webhook, "https://") || strings.HasPrefix(c.Webhook, "http://")
}

// Ref is the reference to the webhook; zero where the file tells the address.
func (c Config) Ref() secret.Ref {
	if _, plain := c.Address(); plain || c.Webhook == "" {
		return secret.Ref{}
	}
	r, _ := secret.Parse(c.Webhook) // Validate has told what is wrong
	return r
}

// checkAddress repeats nothing of the address, which may be a secret.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "":
		return fmt.Errorf("the webhook is no address with a host")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("the webhook's scheme is neither https nor http")
	case u.User != nil:
		return fmt.Errorf("the webhook has a user in its address; sign with `secret:` instead")
	case u.Fragment != "":
		return fmt.Errorf("the webhook has a fragment, which is never sent")
	}
	return nil
}
