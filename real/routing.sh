#!/bin/sh
# Measures routing policies in front of real engines with multi-turn
# conversations: llama.cpp servers with real weights on the CPU. `sh
# real/routing.sh --help` tells what can be set.
#
# Needs Go and Python 3.10+ on x86-64 Linux with glibc; no GPU. Downloads on the
# first run what run.sh does, less its SDK for Node. $TAILPLANE_BIN names a binary
# that is built already.
set -eu
cd "$(dirname "$0")/.."
. real/setup.sh
exec $venv/bin/python real/routing.py "$tailplane" "$@"
