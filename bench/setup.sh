#!/bin/sh
# Installs the reference proxies of the benchmark from the distribution, where
# they are missing. Needs apt-get, and root or sudo.
set -eu

missing=""
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v haproxy >/dev/null 2>&1 || [ -x /usr/sbin/haproxy ] || missing="$missing haproxy"
if [ -z "$missing" ]; then
    echo "nginx and haproxy are here already"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "cannot install$missing: there is no apt-get; install them by hand, or run the benchmark without (figures are approximate then)" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    as_root="sudo"
fi
# The references are started by the benchmark, not by the system.
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$as_root apt-get install -y --no-install-recommends $missing || {
    $as_root apt-get update
    $as_root apt-get install -y --no-install-recommends $missing
}
for unit in nginx haproxy; do
    if command -v systemctl >/dev/null 2>&1 && systemctl is-active --quiet "$unit"; then
        echo "note: $unit runs as a service; the benchmark does not need that" >&2
    fi
done
