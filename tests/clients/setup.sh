#!/usr/bin/env bash
# Lays the real SDKs out under target/clients: a Python environment and a Node folder with the pinned packages.
# Writes nothing into the source tree; does only what changed since the last run. Knows nothing of what is run.
set -euo pipefail

sources=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
clients=${CARGO_TARGET_DIR:-$sources/../../target}/clients
python=$clients/python
node=$clients/node

# Runs a command unless it has succeeded before with the same content of the files named before `--`.
once() {
  local stamp=$1 files=() now
  shift
  while [[ $1 != -- ]]; do
    files+=("$1")
    shift
  done
  shift
  now=$(cat "${files[@]}" | cksum)
  [[ -f $stamp && $(<"$stamp") == "$now" ]] && return
  rm -f "$stamp"
  "$@"
  printf '%s\n' "$now" > "$stamp"
}

install_python() {
  python3 -m venv --clear "$python"
  "$python/bin/python" -m pip install --quiet --disable-pip-version-check \
    --requirement "$sources/python/requirements.txt"
}

install_node() {
  (cd "$node" && npm ci --silent --no-audit --no-fund)
}

mkdir -p "$python" "$node"
cp "$sources"/node/{*.mjs,package.json,package-lock.json,.npmrc} "$node/"
once "$clients/python.stamp" "$sources/python/requirements.txt" -- install_python &
in_python=$!
once "$clients/node.stamp" "$node/package.json" "$node/package-lock.json" -- install_node
wait "$in_python"
