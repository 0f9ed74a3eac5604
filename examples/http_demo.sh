#!/usr/bin/env bash
# The service on its defaults but for the port, and lines to copy: one answer, one stream, one that
# means harm. Called by demo.sh with the binary. Exit status 0 if every answer was the right one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
airlock=$1
log=$(mktemp) || exit 1
wrong=0

dim='' plain=''
[[ -n ${DEMO_COLOR:-} ]] && dim=$'\e[2m' plain=$'\e[0m'

"$airlock" serve --listen http://127.0.0.1:0 2>"$log" &
service=$!
trap 'kill "$service" 2>/dev/null; wait "$service"; rm -f "$log"' EXIT
for _ in $(seq 100); do
  grep -q serve.ready "$log" && break
  kill -0 "$service" 2>/dev/null || break
  sleep 0.1
done
url=$(grep -o 'http://127.0.0.1:[0-9]*' "$log" | head -n 1)
if [[ -z $url ]]; then
  cat "$log" >&2
  exit 1
fi
printf '%s$ airlock serve%s\nlistens on %s\n' "$dim" "$plain" "$url"

# ask EXPECTED ROUTE BODY: the line as a person would type it, then the answer.
ask() {
  local expected=$1 route=$2 body=$3 answer
  printf "\n%s\$ curl -sNd '%s' -H 'Content-Type: application/json' %s%s\n" \
    "$dim" "$body" "$url$route" "$plain"
  answer=$(python3 post.py "$url$route" "$body")
  printf '%s\n' "$answer"
  [[ $answer == *"$expected"* ]] || wrong=1
}

ask '"stdout":"42\n"' /v1/run '{"language":"python","code":"print(6*7)"}'
ask '"text":"two\n"' /v1/run/stream '{"language":"bash","code":"echo one; sleep 0.3; echo two"}'
ask '"outcome":"out_of_memory"' /v1/run \
  '{"language":"python","code":"a = bytearray(1 << 30)","limits":{"memory_bytes":67108864}}'
input='[{"path":"a","content_b64":"aGkK"}]'
ask '"exit_code":3' /run \
  '{"language":"bash","code":"cat /input/a; exit 3","input_files":'"$input"'}'
exit "$wrong"
