package catalog

import (
	"slices"
	"strings"
	"time"
)

// Model finds what is known about a model by its name, with or without its
// maker before it. Of several makers the first in order counts.
func (c *Catalog) Model(name string) (Model, bool) {
	name = strings.ToLower(name)
	models := c.models()
	if m, ok := models[name]; ok {
		return m, true
	}
	best := ""
	for key := range models {
		if _, bare, _ := strings.Cut(key, "/"); bare == name && (best == "" || key < best) {
			best = key
		}
	}
	m, ok := models[best]
	return m, ok
}

// Retirement finds the end of a model at a provider of a kind ("openai",
// "bedrock", ...), by the name that the provider uses. The prefix of a region is
// passed over.
func (c *Catalog) Retirement(kind, model string) (Retirement, bool) {
	model = strings.ToLower(model)
	for _, provider := range calendarsOf(kind) {
		if r, ok := c.retirements()[provider+"/"+model]; ok {
			return r, true
		}
		if region, rest, ok := strings.Cut(model, "."); ok && provider == "aws" && slices.Contains(regions, region) {
			if r, ok := c.retirements()[provider+"/"+rest]; ok {
				return r, true
			}
		}
	}
	return Retirement{}, false
}

// regions are the prefixes of Bedrock's inference profiles.
var regions = []string{"us", "eu", "apac", "jp", "au", "in", "ca", "us-gov", "global"}

// calendarsOf are the calendars in which the models of a kind stand.
func calendarsOf(kind string) []string {
	switch kind {
	case "azure", "azure-openai", "azure-foundry":
		return []string{"azure"}
	case "bedrock", "aws-bedrock":
		return []string{"aws"}
	case "gemini":
		return []string{"google"}
	case "vertex", "vertexai", "google-vertex":
		return []string{"vertex", "google"}
	case "xai", "grok":
		return []string{"x-ai"}
	}
	return []string{kind}
}

// Ends is the day of the shutdown; false when none is known.
func (r Retirement) Ends() (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, r.Shutdown)
	return t, err == nil
}

// Since is the day from which the model is deprecated; false when none is known.
func (r Retirement) Since() (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, r.Deprecated)
	return t, err == nil
}

// Warning says in words what a caller should know; empty while there is no
// shutdown to tell of.
func (r Retirement) Warning(now time.Time) string {
	ends, ok := r.Ends()
	if !ok {
		return ""
	}
	text := "shuts down " + r.Shutdown
	if !now.Before(ends) {
		text = "was to shut down " + r.Shutdown
	}
	if len(r.Instead) > 0 {
		text += ", use " + strings.Join(r.Instead, " or ")
	}
	return text
}

// Upcoming lists the retirements whose shutdown is not before a moment, by day.
func (c *Catalog) Upcoming(from time.Time) []Retirement {
	var out []Retirement
	for _, r := range c.retirements() {
		if ends, ok := r.Ends(); ok && !ends.Before(from) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Retirement) int {
		return strings.Compare(a.Shutdown+a.Provider+"/"+a.Model, b.Shutdown+b.Provider+"/"+b.Model)
	})
	return out
}

// RetirementsOf lists what the calendars of all providers say about a model, by
// provider.
func (c *Catalog) RetirementsOf(model string) []Retirement {
	var out []Retirement
	for _, r := range c.retirements() {
		if strings.EqualFold(r.Model, model) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Retirement) int { return strings.Compare(a.Provider, b.Provider) })
	return out
}
