#!/usr/bin/env bash
# The same with curl: a whole answer, a stream, and the look-up that gives the stream's final verdict.
set -euo pipefail
: "${OPENAI_BASE_URL:?}" "${OPENAI_API_KEY:?}"

head=$(mktemp)
trap 'rm -f "$head"' EXIT

ask() {
  curl --silent --show-error --fail-with-body --no-buffer --dump-header "$head" "$OPENAI_BASE_URL/chat/completions" \
    --header "Authorization: Bearer $OPENAI_API_KEY" --header 'Content-Type: application/json' --data "$1"
  echo
  grep -i '^x-tollfree-' "$head" || echo 'no tollfree in between'
}

ask '{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Greet me in one word."}]}'
ask '{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Count to three."}], "stream": true}'

call=$(sed -n 's/^x-tollfree-call: *\([^[:space:]]*\).*/\1/p' "$head")
if [[ $call ]]; then
  curl --silent --show-error --fail-with-body "$OPENAI_BASE_URL/_tollfree/calls/$call?wait=5"
  echo
fi
