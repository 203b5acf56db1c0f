package engine

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Identity is what a server says of one model: as long as it says the same, what
// was learned of it holds.
type Identity struct {
	Model string
	// Facts are the parts that identify it: weights, version, context. Empty
	// when the server says nothing but the name.
	Facts string
	// Adapter says that it stands on another model of the server; it comes and
	// goes while the model stays.
	Adapter bool
}

// Identities reads what a server answers about its models: a list in OpenAI's
// form, with what vLLM adds to it; Ollama's tags; or the object by which
// SGLang, TGI and llama.cpp describe their one model, whose Model is empty. ok
// is false when it is none of these. What changes with each answer (created) is
// not looked at. The order is that of the names.
func Identities(body []byte) (list []Identity, ok bool) {
	var answer struct {
		Data, Models *[]described
		described
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil, false
	}
	for _, items := range []*[]described{answer.Data, answer.Models} {
		if items == nil {
			continue
		}
		ok = true
		for i := range (*items)[:min(len(*items), mostModels)] {
			if one := (*items)[i].identity(); one.Model != "" {
				list = append(list, one)
			}
		}
	}
	if own := answer.identity(); !ok && own.Facts != "" {
		list, ok = []Identity{{Facts: own.Facts}}, true
	}
	slices.SortFunc(list, func(a, b Identity) int { return cmp.Compare(a.Model, b.Model) })
	return slices.CompactFunc(list, func(a, b Identity) bool { return a.Model == b.Model }), ok
}

// described is a model in any of the forms.
type described struct {
	ID, Name, Root, Digest string
	Parent                 *string
	MaxModelLen            int64  `json:"max_model_len"`
	ModelPath              string `json:"model_path"`
	WeightVersion          string `json:"weight_version"`
	ModelID                string `json:"model_id"`
	ModelSHA               string `json:"model_sha"`
}

func (d *described) identity() Identity {
	out := Identity{Model: cmp.Or(d.ID, d.Name), Adapter: d.Parent != nil && *d.Parent != ""}
	var facts []string
	add := func(what, v string) {
		if v != "" {
			facts = append(facts, what+"="+v)
		}
	}
	add("root", d.Root)
	add("digest", d.Digest)
	add("model_path", d.ModelPath)
	add("weight_version", d.WeightVersion)
	add("model_id", d.ModelID)
	add("model_sha", d.ModelSHA)
	if d.MaxModelLen > 0 {
		add("max_model_len", strconv.FormatInt(d.MaxModelLen, 10))
	}
	out.Facts = strings.Join(facts, " ")
	return out
}
