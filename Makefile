# Targets for people; CI runs .ci/run. Everything needs only Go unless it says otherwise.

TOOL := go tool -modfile=tools.mod
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: build test check race fuzz corpus conformance real real-routing bench bench-ledger bench-routing bench-live test-postgres prices

build:           ## the binary, into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/tailplane ./cmd/tailplane
	@ls -l bin/tailplane | awk '{printf "bin/tailplane: %.1f MB\n", $$5/1e6}'

test:            ## the tests
	go test ./...

check:           ## what must be clean before a commit
	@test -z "$$($(TOOL) gofumpt -l internal cmd bench conformance real *.go)" || { $(TOOL) gofumpt -l internal cmd bench conformance real *.go; echo 'run: make fmt'; exit 1; }
	go vet ./...
	go fix -diff ./...
	$(TOOL) staticcheck ./...
	@dead="$$($(TOOL) deadcode -test ./...)"; test -z "$$dead" || { echo "$$dead"; exit 1; }
	@$(TOOL) govulncheck ./... || echo 'govulncheck: the vulnerability database cannot be reached; run it where it can'
	go test -run 'Floor|Modules|HouseRules' .
	go test -race -shuffle=on ./internal/... ./cmd/...

fmt:
	$(TOOL) gofumpt -w internal cmd bench conformance real *.go

race:            ## the tests with the race detector
	go test -race ./...

FUZZTIME ?= 30s
fuzz:            ## every fuzz target for FUZZTIME
	@for pkg in $$(go list ./internal/...); do \
	  for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "== $$pkg $$f"; go test -run XXX -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; done

corpus:          ## the laws over recorded traffic ($$TAILPLANE_CORPUS or ../shared/corpus)
	go test -v -run Corpus ./internal/... | grep -E '^(corpus:|---|FAIL|ok|panic)' ; go test -run Corpus ./internal/...

conformance: build ## real SDKs (needs Node and Python)
	sh conformance/run.sh

real: build      ## a real engine with real weights on the CPU
	sh real/run.sh

real-routing: build ## routing policies in front of real engines on the CPU, with conversations
	sh real/routing.sh

test-postgres:   ## several gateways, kill -9 and outages on a real PostgreSQL
	sh postgres/run.sh

bench-ledger:    ## what the ledger, limits and budgets cost
	go run ./bench/ledger

bench: build     ## overhead against nginx and HAProxy
	sh bench/setup.sh
	go run ./bench/run

bench-routing:   ## every routing policy on recorded traffic, into docs/benchmarks ($$TAILPLANE_TRACES or ../shared/traces)
	go run ./bench/routing $(if $(TAILPLANE_TRACES),-traces $(TAILPLANE_TRACES))

bench-live:      ## real HTTP beside virtual time: the same first tokens within a tenth (a quiet machine; two minutes)
	TAILPLANE_LIVE=1 go test -v -count=1 -run LiveAgrees ./cmd/tailplane

prices:          ## the price book, from the catalogue
	go run ./internal/meter/genprices -in ../shared/catalog/genai-prices/prices/data.json -out internal/meter/prices.jsonl
