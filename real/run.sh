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
begun=$(date +%s)
. real/setup.sh

node=conformance/node
if ! fresh $node/node_modules/.installed $node/package-lock.json; then
	npm --prefix $node ci --no-audit --no-fund --loglevel=error
	cp $node/package-lock.json $node/node_modules/.installed
fi
echo "installed and built in $(($(date +%s) - begun)) s"
exec $venv/bin/python real/run.py "$tailplane" node real/drive.mjs
