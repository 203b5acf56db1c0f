#!/bin/sh
# Runs the tests that need PostgreSQL against a real one of their own: several
# gateways on one database, kill -9 under load, a server that is down.
#
# Installs Debian's package `postgresql` when there is none (root, apt-get; about
# 60 MB). The cluster lies in a temporary directory, listens on a free port of
# 127.0.0.1, and is removed at the end, also on Ctrl-C. Arguments go to `go test`.
set -eu
cd "$(dirname "$0")/.."

bins() { ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1; }
bin=$(bins || true)
if [ -z "$bin" ]; then
	echo "installing PostgreSQL"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null
	bin=$(bins)
fi
bin=${bin%/initdb}

dir=$(mktemp -d "${TMPDIR:-/tmp}/tailplane-postgres.XXXXXX")
# The server refuses to run as root.
as=
if [ "$(id -u)" = 0 ]; then
	chown postgres "$dir"
	as="runuser -u postgres --"
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

# ctl stop|start|kill: tests that take the server away use it, too. What it kills
# is this server and its children, by their numbers.
cat >"$dir/ctl" <<CTL
#!/bin/sh
case \$1 in
start) exec $as $bin/pg_ctl -D $dir/data -l $dir/log -w start -o "-p $port -k $dir -c listen_addresses=127.0.0.1 -c max_connections=200" >/dev/null ;;
stop) exec $as $bin/pg_ctl -D $dir/data -m fast -w stop >/dev/null ;;
kill)
	server=\$(head -1 $dir/data/postmaster.pid)
	kill -9 \$server \$(ps -o pid= --ppid "\$server")
	# Until they are gone, the next start finds their shared memory in use.
	while kill -0 "\$server" 2>/dev/null; do sleep 0.05; done
	sleep 0.2
	rm -f $dir/data/postmaster.pid
	;;
esac
CTL
chmod 755 "$dir" "$dir/ctl"

stop() {
	"$dir/ctl" stop 2>/dev/null || true
	rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

$as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log"; exit 1; }
"$dir/ctl" start
echo "PostgreSQL $("$bin/postgres" --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/') on port $port"

export TAILPLANE_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
export TAILPLANE_TEST_POSTGRES_CTL="$dir/ctl"
export PATH="$bin:$PATH"

# Packages one by one: some of the tests take the server away from the others.
status=0
go test -count=1 -p 1 -v -run 'Postgres|Gateways' ./internal/pg ./internal/ledger/... ./internal/facts/... \
	./internal/account/... ./internal/policy/... ./internal/app/... ./cmd/... "$@" >"$dir/results" 2>&1 || status=$?
count() { grep -cE "^ *--- $1" "$dir/results" || true; }
# All of it when something is wrong; else what was counted.
if [ $status = 0 ]; then grep -E '^ok|_(failure|faults|kill)_test.go:|--- SKIP' "$dir/results" | grep -v 'no tests to run' || true; else cat "$dir/results"; fi
echo "$(count PASS) passed, $(count FAIL) failed, $(count SKIP) skipped"
exit "$status"
