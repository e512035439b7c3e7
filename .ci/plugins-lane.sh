#!/usr/bin/env bash
# The plugins lane: pytest-randomly, pytest-rerunfailures, pytest-timeout, pytest-cov and allure-pytest beside ours, in an
# environment of its own, since installed beside the others they would change every other test of this checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${PLUGINS_LANE_DIR:-${TMPDIR:-/tmp}/smartattend-plugins-lane}
python=$tools/bin/python
[ -x "$python" ] || "${PYTHON:-.venv/bin/python}" -m venv "$tools"
"$python" -m pip install --quiet --disable-pip-version-check -e '.[embedded]' \
  allure-pytest pytest-cov pytest-randomly pytest-rerunfailures pytest-timeout
"$python" -m pytest tests/plugin/test_beside_other_plugins.py -q -n 2 -p no:randomly
