#!/usr/bin/env bash
# The suites against a backend in another style, on Node: honest, and with a dozen defects planted.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v npm >/dev/null; then
  echo "express lane: NOT RUN: there is no npm here"
  exit 0
fi
npm install --prefix tests/express/backend --no-package-lock --no-audit --no-fund --loglevel=error \
  --fetch-timeout=60000 --fetch-retries=2
.venv/bin/python -m pytest tests/express -n0 -q -rs
