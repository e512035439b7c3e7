#!/usr/bin/env bash
# The install lane: wheel and sdist, each in an empty environment, offline from a wheelhouse, for every Python from 3.11
# that is here, naming those that are not; with pytest 8.4 and the newest; with and without extras; a suite run from there;
# mypy on a user's example.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
tools=$(mktemp -d "${TMPDIR:-/tmp}/smartattend-install-lane.XXXXXX")
trap 'rm -rf "$tools"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=2  # 2: errors only
export PIP_RETRIES=10 PIP_TIMEOUT=60
unset PYTHONPATH PYTEST_ADDOPTS

say() { printf -- '-- %s\n' "$1"; }

pythons=() absent=()
for version in 3.11 3.12 3.13 3.14; do
  found=
  for candidate in "python$version" ~/.pyenv/versions/"$version".*/bin/python; do
    path=$(command -v "$candidate" || true)
    # a shim may stand for a version that is not chosen, and Debian's lacks ensurepip without python3-venv
    if [ -n "$path" ] && "$path" -c "import sys, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
      found=$path
      break
    fi
  done
  if [ -n "$found" ]; then pythons+=("$version=$found"); else absent+=("$version"); fi
done
[ ${#pythons[@]} -gt 0 ] || { echo "no Python from 3.11 with venv is here; on Debian: apt-get install python3-venv"; exit 1; }

git ls-files -z | tar --null -T - -cf - | (mkdir "$tools/source" && tar -xf - -C "$tools/source")
"${PYTHON:-.venv/bin/python}" -m build --no-isolation --outdir "$tools/dist" "$tools/source" >"$tools/build.log" 2>&1 \
  || { tail -n 30 "$tools/build.log"; exit 1; }
wheel=$(echo "$tools"/dist/*.whl)
sdist=$(echo "$tools"/dist/*.tar.gz)

# installs into a new environment from the wheelhouse alone: environment NAME PYTHON WHAT…
environment() {
  local name=$1 python=$2
  shift 2
  "$python" -m venv "$tools/$name"
  "$tools/$name/bin/python" -m pip install --no-index --find-links "$tools/house-$version" "$@"
}

# runs in a folder that knows nothing of this checkout
elsewhere() { (cd "$tools/empty" && "$@"); }
mkdir "$tools/empty"

for entry in "${pythons[@]}"; do
  version=${entry%%=*} python=${entry#*=}
  "$python" -m pip download --dest "$tools/house-$version" "$wheel[embedded]" mypy 'pytest>=9' 'setuptools>=77' wheel

  say "Python $version, wheel with the embedded PostgreSQL"
  environment "with-$version" "$python" "$wheel[embedded]" mypy
  elsewhere "$tools/with-$version/bin/smartattend" doctor >"$tools/doctor.log" || { cat "$tools/doctor.log"; exit 1; }
  elsewhere "$tools/with-$version/bin/python" -m pytest --pyargs pytest_smartattend.suites -q -p no:cacheprovider \
    -o asyncio_default_fixture_loop_scope=function --smartattend-target=reference --smartattend-checks=scenarios/security-breach,simulations/multi-escalation
done

version=${pythons[0]%%=*} python=${pythons[0]#*=}
say "Python $version, pytest 8.4"
"$python" -m pip download --dest "$tools/house-8.4" "$wheel[embedded]" 'pytest==8.4.*'
"$python" -m venv "$tools/old"
"$tools/old/bin/python" -m pip install --no-index --find-links "$tools/house-8.4" "$wheel[embedded]" 'pytest==8.4.*'
elsewhere "$tools/old/bin/python" -m pytest --pyargs pytest_smartattend.suites -q -p no:cacheprovider -n 2 \
  -o asyncio_default_fixture_loop_scope=function --smartattend-target=reference --smartattend-checks=scenarios/security-breach,simulations/multi-escalation

say "Python $version, wheel without extras: it says what is missing, and what needs nothing works"
environment without "$python" "$wheel"
cat >"$tools/empty/test_own.py" <<'PY'
import pytest


@pytest.mark.scenario("scenarios/own")
def test_own(evidence, clock):
    evidence.expect("one and one", 1 + 1, 2)
PY
elsewhere "$tools/without/bin/python" -m pytest -q -p no:cacheprovider test_own.py
if elsewhere env PATH=/usr/bin:/bin SMARTATTEND_POSTGRES=embedded "$tools/without/bin/smartattend" doctor >"$tools/doctor.log"; then
  echo "doctor found an embedded PostgreSQL where none is installed"; exit 1
fi
grep -q "pip install 'pytest-smartattend\[embedded\]'" "$tools/doctor.log"
rm "$tools/empty/test_own.py"

say "Python $version, sdist"
"$python" -m venv "$tools/sdist"
"$tools/sdist/bin/python" -m pip install --no-index --find-links "$tools/house-$version" --upgrade 'setuptools>=77' wheel
"$tools/sdist/bin/python" -m pip install --no-index --no-build-isolation --find-links "$tools/house-$version" "$sdist"
elsewhere "$tools/sdist/bin/python" -c 'import pytest_smartattend.suites.scenarios, pytest_smartattend.fixtures'

say "mypy --strict on a user's example, right and wrong"
cp "$root/tests/packaging/typed_example.py" "$tools/empty/right.py"
sed 's/evidence.expect("status", answer.status, 200)/evidence.expect(200)/' "$tools/empty/right.py" >"$tools/empty/wrong.py"
elsewhere "$tools/with-$version/bin/mypy" --strict right.py
if elsewhere "$tools/with-$version/bin/mypy" --strict wrong.py >"$tools/mypy.log"; then
  echo "mypy found nothing wrong in wrong.py"; exit 1
fi
say "done with Python $(printf '%s ' "${pythons[@]%%=*}")"
[ ${#absent[@]} -eq 0 ] || say "skipped, not here: Python $(printf '%s ' "${absent[@]}")"
