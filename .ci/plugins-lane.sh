#!/usr/bin/env bash
# The plugins lane: pytest-randomly, pytest-rerunfailures, pytest-timeout, pytest-cov and allure-pytest beside ours, in an
# environment of its own, since installed beside the others they would change every other test of this checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${PLUGINS_LANE_DIR:-${TMPDIR:-/tmp}/smartattend-plugins-lane}
python=$tools/bin/python
# The environment leads to one checkout: of two runs the second waits. One that was left half made is made anew.
exec 9>"$tools.lock"
flock 9
"$python" -m pip --version >/dev/null 2>&1 || "${PYTHON:-.venv/bin/python}" -m venv --clear "$tools"
"$python" -m pip install --quiet --retries 10 --timeout 60 --disable-pip-version-check -e '.[embedded]' \
  allure-pytest pytest-cov pytest-randomly pytest-rerunfailures pytest-timeout
"$python" -m pytest tests/plugin/test_beside_other_plugins.py -q -n 2 -p no:randomly
