# Two commands matter: `make readiness` and `make test`. Everything they need is installed into .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A run starts a dozen processes of ours; compiling the same modules in each of them takes longer than the checks.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: readiness test lint prove bench pages installs sample clean
.DEFAULT_GOAL := readiness

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "The venv module is missing; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

readiness: $(STAMP)  ## test the reference platform and write reports/readiness.{json,html}
	$(BIN)/smartattend readiness --target=reference --report=reports

test: $(STAMP)  ## the plugin's own tests
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)  ## style, types, and the stairs between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

prove: $(STAMP)  ## plant every known defect and show which check catches it
	$(BIN)/smartattend prove --out=reports/proof.json

bench: $(STAMP)  ## measure, side by side with named peers
	$(BIN)/python -m pytest tests/benchmarks -p no:xdist --benchmarks

pages: $(STAMP)  ## the page in Chromium, held to axe's rules; screenshots in reports/screenshots
	bash .ci/page-lane.sh

installs: $(STAMP)  ## wheel and sdist in empty environments, offline, on every Python that is here
	bash .ci/install-lane.sh

sample: $(STAMP)  ## reports/sample.{json,html}, the report that is committed, from a real run of some minutes
	bash .ci/sample.sh

clean:  ## what make and the runs wrote
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis reports/readiness.* reports/proof.json
