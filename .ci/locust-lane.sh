#!/usr/bin/env bash
# The Locust lane: the extra `locust` in an environment of its own, for Locust changes how a process waits, and storms from
# one master and two workers on this machine, against the reference and against a defect planted in it.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${LOCUST_LANE_DIR:-${TMPDIR:-/tmp}/smartattend-locust-lane}
# The environment leads to one checkout: of two runs the second waits. One that was left half made is made anew.
exec 9>"$venv.lock"
flock 9
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || .venv/bin/python -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --retries 10 --timeout 60 --disable-pip-version-check -e '.[embedded,locust]'
run() { "$venv/bin/python" -m pytest tests/locust -q -p no:cacheprovider --smartattend-target=reference "$@"; }
run
run --smartattend-sabotage=natural-key-dropped -k planted
