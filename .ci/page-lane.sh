#!/usr/bin/env bash
# The page lane: readiness.html in headless Chromium, held to axe's rules at three widths, light and dark. Installs
# Chromium by apt and axe-core by npm where they are missing; leaves screenshots in reports/screenshots.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
tools=${PAGE_LANE_DIR:-${TMPDIR:-/tmp}/smartattend-page-lane}
mkdir -p "$tools"
exec 9>"$tools/lock"
flock 9  # two runs install into the same places

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v npm >/dev/null || missing+=(npm)
if [ ${#missing[@]} -gt 0 ]; then
  flock "${TMPDIR:-/tmp}/smartattend-apt.lock" apt-get update -qq -o Acquire::Retries=5
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Acquire::Retries=5 -o DPkg::Lock::Timeout=600 "${missing[@]}" >"$tools/apt.log"
fi
[ -f "$tools/node_modules/axe-core/axe.min.js" ] || npm install --prefix "$tools" --no-audit --no-fund --loglevel=error \
  --fetch-timeout=60000 --fetch-retries=5 axe-core@4
exec 9>&-

SMARTATTEND_AXE=$tools/node_modules/axe-core/axe.min.js SMARTATTEND_SCREENSHOTS=reports/screenshots \
  "$PYTHON" -m pytest tests/browser -q -n 2
