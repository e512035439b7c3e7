#!/usr/bin/env bash
# The suites against a backend in another style, on Node: honest, and with a dozen defects planted.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v npm >/dev/null; then
  echo "express lane: NOT RUN: there is no npm here"
  exit 0
fi
# what an earlier run installed, and still fits, needs no network
npm ls --prefix tests/express/backend >/dev/null 2>&1 || npm install --prefix tests/express/backend --no-package-lock \
  --no-audit --no-fund --loglevel=error --fetch-timeout=60000 --fetch-retries=5
.venv/bin/python -m pytest tests/express -n0 -q -rs
