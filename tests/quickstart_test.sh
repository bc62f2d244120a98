#!/bin/bash
# The first command of the README, as a new user runs it, offline; then again; then its stop. Closes with the counts.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(mktemp -d)
passed=0 failed=0
data=$folder/data
trap '"$here/quickstart" --stop --data "$data" >/dev/null 2>&1; rm -rf "$folder"' EXIT
check() { # TITLE COMMAND...
  local title=$1; shift
  if "$@" >"$folder/out" 2>&1; then passed=$((passed + 1)); echo "ok      $title"
  else failed=$((failed + 1)); echo "FAILED  $title"; tail -n 25 "$folder/out"; fi
}
refused() { # TEXT COMMAND...: fails, and says why
  local text=$1; shift
  if "$@" >"$folder/out" 2>&1; then echo "it was taken" >>"$folder/out"; return 1; fi
  grep -qF -- "$text" "$folder/out"
}
mkdir "$folder/docs"
printf '# Handbook\n\n## Ports\n\nThe default port of the server is 8443.\n\n## Refunds\n\nRefunds are processed within five business days.\n' >"$folder/docs/handbook.md"
quickstart() { "$here/quickstart" --data "$data" --listen 127.0.0.1:0 --offline "$@"; }
run() { "$here/toolchain/run" "$("$here/toolchain/build" "${LAKELOOP_PRESET:-dev}" lakeloop lakeloop-llm 2>/dev/null)/bin/lakeloop" --data "$data" "$@"; }
export LAKELOOP_BIND="$folder${LAKELOOP_BIND:+:$LAKELOOP_BIND}"

check "a missing folder is refused" refused "no such folder" "$here/quickstart" --docs "$folder/none" --data "$folder/d2"
check "--llm without --model is refused" refused "--model" "$here/quickstart" --llm http://127.0.0.1:1/v1 --data "$folder/d2"
check "--llm without a key is refused" refused "LLM_API_KEY" env -u LLM_API_KEY "$here/quickstart" --llm http://127.0.0.1:1/v1 --model m --data "$folder/d2"
check "an unknown option is refused" refused "unknown option" "$here/quickstart" --fast
check "offline, from documents to answers" quickstart --docs "$folder/docs"
check "quickstart.json names everything" python3 - "$data" <<'PY'
import json, os, stat, sys
about = json.load(open(sys.argv[1] + "/quickstart.json"))
for key in ("url", "token_file", "endpoint", "chat_endpoint", "embedding_endpoint", "experiment_id", "tables", "index", "model"):
    assert key in about, key
assert about["endpoint"] == "docs-assistant" and about["chat_endpoint"] == "local-chat"
assert stat.S_IMODE(os.stat(about["token_file"]).st_mode) == 0o600
PY
ask() { run ask docs-assistant "What is the default port of the server?" | tee "$folder/answer" | grep -q "8443"; }
check "the assistant answers from the documents" ask
check "with a citation" grep -q "handbook.md" "$folder/answer"
token_hidden() { ! grep -rqFf "$data/admin.token" "$data/logs" && ! ps axww -o args | grep -qFf "$data/admin.token"; }
check "the token is in no log and no process list" token_hidden
second() { run ask docs-assistant "Within how many business days are refunds processed?" | grep -q "five business days"; }
explained() { run explain "$(sed -n 's/.*trace \(tr-[0-9a-f]*\).*/\1/p' "$folder/answer")" | tee "$folder/walk" | grep -q "handbook.md"; }
check "the answer is explained down to the file" explained
payload() { for _ in $(seq 50); do run sql "SELECT count(*) AS n FROM main.docs.assistant_payload" | grep -qE '^[4-9]|^[1-9][0-9]' && return 0; sleep 0.2; done; return 1; }
check "each request is a row" payload
check "a second run keeps what is there" quickstart --docs "$folder/docs"
check "and still answers" second
check "a second server on the folder refuses" refused "another lakeloop server" run server --listen 127.0.0.1:0
check "--stop stops it" "$here/quickstart" --stop --data "$data"
check "--clean deletes the data" "$here/quickstart" --clean --data "$data"
gone() { [ ! -e "$data" ]; }
check "the folder is gone" gone
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
