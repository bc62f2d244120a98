#!/bin/bash
# Runs the tests with official clients, inside the build root: run.sh [NAME...]
#
# Clients come from their registries into an environment outside the clone, keyed by the list of packages. Without a network and
# without that environment the tests are skipped, and say so.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
key=$(cat "$here/requirements.txt" "$here/package.json" | sha256sum | cut -c1-12)
environment=$LAKELOOP_CACHE/clients-$key
exec 9>"$LAKELOOP_CACHE/clients.lock"
flock 9
if [ ! -e "$environment/ready" ]; then
  rm -rf "$environment"
  echo "installing the official clients (once; about 800 MB)"
  python3 -m venv "$environment" && "$environment/bin/pip" install -q uv &&
    "$environment/bin/uv" pip install -q --python "$environment/bin/python" -r "$here/requirements.txt" &&
    cp "$here/package.json" "$environment/" && (cd "$environment" && npm install --silent --no-fund --no-audit) && touch "$environment/ready"
fi
flock -u 9
if [ ! -e "$environment/ready" ]; then
  echo "the clients cannot be installed (no network?)"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
export LAKELOOP_NODE_MODULES=$environment/node_modules MLFLOW_ENABLE_ASYNC_TRACE_LOGGING=false MLFLOW_HTTP_REQUEST_MAX_RETRIES=1
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true PYTHONPYCACHEPREFIX=$environment/bytecode
files=()
for name; do files+=("$here/${name}_test.py"); done
[ ${#files[@]} -gt 0 ] || files=("$here")
exec "$environment/bin/python" -m pytest -q -p no:cacheprovider --maxfail=20 "${files[@]}"
