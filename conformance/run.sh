#!/bin/sh
# Runs the conformance suite: the providers' own SDKs (Node and Python, pinned)
# through a running Tailplane to a replay provider.
#
#   sh conformance/run.sh [FILTER]     only cells whose label contains FILTER
#
# Needs Go, Node 20+, npm and Python 3.10+; installs the SDKs into
# conformance/node/node_modules and .cache/conformance-venv. Recorded traffic is
# read from $TAILPLANE_CORPUS, else ../shared/corpus, else left out.
# $CONF_FULL reads all of it in translation, too (two minutes more), not a third.
# $TAILPLANE_BIN names a binary that is built already.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache

# fresh STAMP FILE: whether what STAMP stands for was installed from this FILE.
fresh() { [ -f "$1" ] && cmp -s "$1" "$2"; }

node=conformance/node
if ! fresh $node/node_modules/.installed $node/package-lock.json; then
	npm --prefix $node ci --no-audit --no-fund --loglevel=error
	cp $node/package-lock.json $node/node_modules/.installed
fi

venv=.cache/conformance-venv
if ! fresh $venv/.installed conformance/python/requirements.txt; then
	rm -rf $venv
	python3 -m venv $venv
	$venv/bin/pip install --quiet --disable-pip-version-check -r conformance/python/requirements.txt
	cp conformance/python/requirements.txt $venv/.installed
fi

go build -o .cache/conformance-replay ./conformance/replay
tailplane=${TAILPLANE_BIN:-}
if [ -z "$tailplane" ]; then
	tailplane=.cache/conformance-tailplane
	CGO_ENABLED=0 go build -o $tailplane ./cmd/tailplane
fi
exec node $node/main.mjs .cache/conformance-replay "$tailplane" $venv/bin/python "${1:-}"
