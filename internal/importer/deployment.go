package importer

import (
	"slices"
	"strings"
	"time"

	"tailplane/internal/meter"
	"tailplane/internal/upstream"
)

// deployment is one entry of model_list.
type deployment struct {
	group  string // the name that clients call
	at     node
	target *target
	model  string // as the target is told
	wild   bool   // every model of the target

	weight, rpm, tpm, order  string
	weightAt, rpmAt, orderAt node
	timeout, stream          time.Duration
	timeoutAt, streamAt      node
}

// deploy reads an entry of model_list.
func (im *importer) deploy(n node) {
	d := &deployment{at: n, group: n.get("model_name").text()}
	params := im.withCredential(n.get("litellm_params"))
	modelAt := params.get("model")
	model := modelAt.text()
	if d.group == "" || model == "" {
		im.refused(n, "an entry needs a model_name and litellm_params.model")
		return
	}
	if strings.ContainsAny(d.group, " \t\r\n\",") || len(d.group) > 128 {
		im.refused(n.get("model_name"), "it cannot be a name here: use up to 128 printable characters without spaces, quotes and commas")
		im.drop(n)
		return
	}
	provider := params.get("custom_llm_provider")
	name, p, rest, ok := providerOf(model, provider.text())
	if !ok {
		im.refused(modelAt, "the provider is not known: write PROVIDER/MODEL, or make a target of kind openai-compatible with its url")
		im.refused(n.get("model_name"), "it leads nowhere, because its provider is not known")
		im.drop(n)
		return
	}
	if rest == "" {
		im.refused(modelAt, "it names a provider and no model: write PROVIDER/MODEL")
		im.drop(n)
		return
	}
	im.mapped(provider, "kind: %s", p.kind)
	t := &target{kind: p.kind}
	im.where(params, t, p)
	if p.needsURL && t.url == "" {
		t.url = "http://set-me.invalid"
		im.refused(modelAt, "%s needs an api_base: write the address instead of %s", name, t.url)
	}
	im.placeless(modelAt, t)
	im.who(params, t, p)
	im.costs(params, n.get("model_info"), t)
	im.sending(params, t)
	d.model = rest
	im.limits(params, n, d)
	im.names(n, d, t)
	d.target = im.place(t)
	if d.wild {
		im.wildcard(n, d, modelAt)
	} else {
		im.mapped(modelAt, "%s of kind %s", rest, t.kind)
	}
	im.deployments = append(im.deployments, d)
}

// placeless asks for what LiteLLM takes from the environment and a target here
// states itself.
func (im *importer) placeless(at node, t *target) {
	const setMe = "set-me"
	upstream.Config{Kind: t.kind, URL: t.url, Region: t.region, Project: t.project}.Validate("target", func(path, wrong, right string) {
		switch path {
		case "target.region":
			t.region = setMe
		case "target.project":
			t.project = setMe
		default:
			return // it is missing, or told elsewhere
		}
		im.refused(at, "%s; %s", wrong, right)
	})
	if (t.kind == "bedrock" || t.kind == "vertex") && t.region == "" && t.url == "" {
		t.region = setMe
		im.refused(at, "a target of kind %s states its region: write it instead of %s", t.kind, setMe)
	}
	if t.kind == "vertex" && t.project == "" {
		t.project = setMe
		im.refused(at, "a target of kind vertex states its project: write it instead of %s", setMe)
	}
}

// drop keeps the fields of an entry that is left out from being told one by one.
func (im *importer) drop(n node) {
	for _, m := range n.members(0) {
		im.told[m.value.id()] = true
		for _, below := range m.value.children() {
			if !im.touched(below) {
				im.told[below.id()] = true
			}
		}
	}
}

// withCredential is litellm_params, with those of a named credential below it.
func (im *importer) withCredential(own node) params {
	out := params{own: own}
	named := own.get("litellm_credential_name")
	if !named.there() {
		return out
	}
	for _, c := range im.root.get("credential_list").items() {
		if c.get("credential_name").text() == named.text() {
			im.mapped(named, "its values are taken over")
			im.mapped(c.get("credential_name"), "its values are taken over where it is named")
			im.told[c.get("credential_info").id()] = true
			out.more = c.get("credential_values")
			return out
		}
	}
	im.refused(named, "there is no such entry in credential_list")
	return out
}

// params are parameters with others that count where they are silent.
type params struct{ own, more node }

func (p params) get(name string) node {
	if n := p.own.get(name); n.there() {
		return n
	}
	return p.more.get(name)
}

// first is the first of several spellings that is there.
func (p params) first(names ...string) node {
	for _, name := range names {
		if n := p.get(name); n.there() {
			return n
		}
	}
	return node{}
}

// plain takes a text over that is no secret; a reference is refused.
func (im *importer) plain(n node, what string) string {
	switch {
	case !n.there():
		return ""
	case isReference(n.text()):
		im.refused(n, "%s cannot be a reference: write it", what)
		return ""
	}
	im.mapped(n, "%s", what)
	return n.text()
}

// where is the address of the target, or what it is made of.
func (im *importer) where(p params, t *target, known provider) {
	t.url = known.url
	if n := p.first("api_base", "base_url"); n.there() {
		im.address(n, t)
	}
	switch t.kind {
	case "azure":
		t.apiVersion = im.plain(p.get("api_version"), "api_version")
	case "bedrock":
		t.region = im.plain(p.first("aws_region_name", "region_name"), "region")
		if n := p.get("aws_bedrock_runtime_endpoint"); n.there() {
			im.address(n, t)
		}
	case "vertex":
		t.region = im.plain(p.first("vertex_location", "vertex_ai_location"), "region")
		t.project = im.plain(p.first("vertex_project", "vertex_ai_project"), "project")
	default:
		if n := p.get("api_version"); n.there() {
			im.approximated(n, "a target of kind %s has no api_version: left out", t.kind)
		}
	}
	if n := p.get("region_name"); n.there() && t.kind != "bedrock" {
		im.refused(n, "routes do not go by region: make a model for each")
	}
}

// who is the credential.
func (im *importer) who(p params, t *target, known provider) {
	switch t.kind {
	case "bedrock":
		im.aws(p, t)
	case "vertex":
		im.google(p, t)
	case "azure":
		im.entra(p, t)
	}
	if t.authKind != "" && t.kind != "bedrock" {
		known.env = ""
	}
	im.credential(p.get("api_key"), t, known)
	if t.kind == "bedrock" && (t.key != "" || t.literal.there()) {
		t.authKind, t.auth, t.lacking = "", nil, nil // a bearer key of Bedrock's own
	}
}

func (im *importer) aws(p params, t *target) {
	t.authKind = "aws"
	for _, f := range []struct{ theirs, ours string }{
		{"aws_profile_name", "profile"},
		{"aws_access_key_id", "access_key"},
		{"aws_secret_access_key", "secret_key"},
		{"aws_session_token", "session_token"},
		{"aws_role_name", "role_arn"},
		{"aws_external_id", "external_id"},
		{"aws_session_name", "session_name"},
	} {
		im.authField(p.get(f.theirs), t, f.ours, strings.HasSuffix(f.ours, "_key") || f.ours == "session_token")
	}
}

func (im *importer) entra(p params, t *target) {
	for _, f := range []struct{ theirs, ours string }{{"tenant_id", "tenant"}, {"client_id", "client"}, {"client_secret", "client_secret"}} {
		if n := p.get(f.theirs); n.there() {
			t.authKind = "azure"
			im.authField(n, t, f.ours, f.ours == "client_secret")
		}
	}
}

func (im *importer) google(p params, t *target) {
	t.authKind = "google"
	n := p.first("vertex_credentials", "vertex_ai_credentials")
	if text := n.text(); n.there() && n.scalar() && !isReference(text) && !strings.ContainsAny(text, "{\n") {
		t.auth = append(t.auth, field{"credentials", "file:" + text})
		im.mapped(n, "auth.google.credentials: file:%s", text)
		return
	}
	im.authField(n, t, "credentials", true)
}

// authField takes a part of an identity over. A secret must be a reference; what
// is none must not be one.
func (im *importer) authField(n node, t *target, name string, secret bool) {
	ref, is := reference(n.text())
	at := "auth." + t.authKind + "." + name
	switch {
	case !n.there():
	case secret && is:
		t.auth = append(t.auth, field{name, ref})
		im.mapped(n, "%s: %s", at, ref)
	case secret:
		t.lacking = append(t.lacking, lacking{name, n})
		t.secret += "\x00" + n.text()
	case is:
		im.refused(n, "%s cannot be a reference: write it", at)
	default:
		t.auth = append(t.auth, field{name, n.text()})
		im.mapped(n, "%s", at)
	}
}

// costs takes prices over, exactly.
func (im *importer) costs(p params, info node, t *target) {
	var price meter.Override
	var taken []node
	for _, c := range []struct {
		theirs string
		factor int64
		to     *string
	}{
		{"input_cost_per_token", 1e6, &price.Input},
		{"output_cost_per_token", 1e6, &price.Output},
		{"cache_read_input_token_cost", 1e6, &price.CacheRead},
		{"cache_creation_input_token_cost", 1e6, &price.CacheWrite},
		{"input_cost_per_audio_token", 1e6, &price.InputAudio},
		{"output_cost_per_audio_token", 1e6, &price.OutputAudio},
		{"output_cost_per_image", 1, &price.Images},
		{"input_cost_per_second", 3600, &price.AudioHour},
		{"input_cost_per_character", 1e6, &price.Characters},
		{"input_cost_per_query", 1000, &price.Searches},
	} {
		n := p.get(c.theirs)
		if !n.there() {
			n = info.get(c.theirs)
		}
		if !n.there() {
			continue
		}
		text, ok := scaled(n.text(), c.factor)
		if !ok {
			im.refused(n, "it is no exact price: write dollars with up to 12 digits behind the point for the unit of `price`")
			continue
		}
		*c.to = text
		taken = append(taken, n)
	}
	wrong := false
	price.Validate("", func(string, string, string) { wrong = true })
	for _, n := range taken {
		if wrong {
			im.refused(n, "a price needs both input and output: add the missing one under `price`")
		} else {
			im.mapped(n, "price")
		}
	}
	if !wrong {
		t.price = price
	}
}

// sending is what every request is sent with.
func (im *importer) sending(p params, t *target) {
	if n := p.get("organization"); n.there() {
		if text := im.plain(n, "headers.OpenAI-Organization"); text != "" {
			t.headers = append(t.headers, field{"OpenAI-Organization", text})
		}
	}
	for _, name := range []string{"extra_headers", "headers"} {
		for _, h := range p.get(name).members(0) {
			im.header(h, t)
		}
	}
	if n := p.get("max_parallel_requests"); n.there() {
		if whole := shares([]string{n.text()}); whole != nil {
			t.inFlight = n.text()
			im.mapped(n, "limits.in_flight")
		}
	}
	if n := p.get("drop_params"); n.there() {
		im.approximated(n, "what a target cannot say is always left out, and told as a loss")
	}
	if n := p.get("max_retries"); n.there() {
		im.approximated(n, "retries are counted for a model: see retry.attempts")
	}
}

func (im *importer) header(h entry, t *target) {
	ref, is := reference(h.value.text())
	low := strings.ToLower(h.name)
	switch {
	case low == "authorization" || strings.Contains(low, "key") || strings.Contains(low, "token") || strings.Contains(low, "secret"):
		if !is {
			im.refused(h.value, "it may be a secret: put it into an environment variable, and write env:NAME under headers.%s", word(h.name))
			return
		}
	case !is && (h.value.text() == "" || strings.ContainsAny(h.value.text(), "\r\n\x00")):
		im.refused(h.value, "a header is one line")
		return
	}
	value := h.value.text()
	if is {
		value = ref
	}
	t.headers = append(t.headers, field{h.name, value})
	im.mapped(h.value, "headers.%s", word(h.name))
}

// limits are the fields that say how much and how long.
func (im *importer) limits(p params, entry node, d *deployment) {
	either := func(name string) node {
		if n := p.get(name); n.there() {
			return n
		}
		return entry.get(name)
	}
	d.weightAt, d.rpmAt, d.orderAt = either("weight"), either("rpm"), either("order")
	d.weight, d.rpm, d.order = d.weightAt.text(), d.rpmAt.text(), d.orderAt.text()
	if n := either("tpm"); n.there() {
		if d.tpm = n.text(); d.rpm == "" {
			d.rpmAt = n
		} else {
			im.approximated(n, "limits of providers are learnt from their answers: left out")
		}
	}
	d.timeoutAt, d.streamAt = p.get("timeout"), p.get("stream_timeout")
	d.timeout, d.stream = im.seconds(d.timeoutAt), im.seconds(d.streamAt)
}

// seconds takes a time over; what is told of it is up to where it goes.
func (im *importer) seconds(n node) time.Duration {
	if !n.there() {
		return 0
	}
	t, ok := seconds(n.text())
	if !ok {
		im.refused(n, "a time is a number of seconds, from 0.001 to 86400")
	}
	return t
}

// names decides how the model is called at the target.
func (im *importer) names(entry node, d *deployment, t *target) {
	info := entry.get("model_info")
	for _, e := range info.members(0) {
		switch {
		case e.name == "id" || e.name == "mode":
			im.approximated(e.value, "a route is named by its target and model: left out")
		case strings.HasPrefix(e.name, "max_") || strings.HasPrefix(e.name, "supports_"):
			im.approximated(e.value, "what models can do is known from the catalogue: left out")
		}
	}
	if d.model == "*" || strings.HasSuffix(d.group, "/*") {
		d.wild = true
		return
	}
	base := info.get("base_model")
	if !base.there() {
		return
	}
	_, _, model, _ := providerOf(base.text(), "")
	if model == d.model || t.kind != "azure" && t.kind != "bedrock" {
		im.mapped(base, "the model's own name")
		return
	}
	im.mapped(base, "deployments: %s is %s there", model, d.model)
	t.deployments = []field{{model, d.model}}
	d.model = model
}

// wildcard makes a target callable by every model.
func (im *importer) wildcard(entry node, d *deployment, modelAt node) {
	name := entry.get("model_name")
	im.mapped(modelAt, "every model of the target")
	prefix, ok := strings.CutSuffix(d.group, "/*")
	if !ok {
		im.approximated(name, "names without a target go to it where its kind owns them (such as gpt-* at openai); all others as TARGET/MODEL")
		return
	}
	switch t := d.target; {
	case prefix == "" || word(prefix) != prefix || t.fixed && t.name != prefix || im.called(prefix, t):
		im.approximated(name, "call its models as TARGET/MODEL")
	default:
		t.name, t.fixed = prefix, true
		im.mapped(name, "%s/MODEL needs no entry: the target is called so", prefix)
	}
}

// called reports whether another target is called so already.
func (im *importer) called(name string, t *target) bool {
	return slices.ContainsFunc(im.targets, func(o *target) bool { return o != t && o.fixed && o.name == name })
}
