#!/usr/bin/env bash
# One real job: a repository on a git server, a prep phase that may reach one host and no other,
# the seal, an inference phase that reaches nobody, outputs, and a receipt that verifies. All
# servers are on this machine. Called by demo.sh with the binary. Exit status 0 if all went well.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
airlock=$1
folder=$(mktemp -d) || exit 1
wrong=0

dim='' plain=''
[[ -n ${DEMO_COLOR:-} ]] && dim=$'\e[2m' plain=$'\e[0m'

servers='' service=''
clean_up() {
  exec 7>&-  # the servers end with their stdin
  [[ -n $service ]] && kill "$service" 2>/dev/null && wait "$service"
  [[ -n $servers ]] && wait "$servers"
  rm -rf "$folder"
}
trap clean_up EXIT

chmod 0755 "$folder"  # the service is another user
: >"$folder/log"
mkfifo "$folder/stdin"
mkdir "$folder/world"
python3 ../tests/support/job_servers.py --folder "$folder/world" --repository job \
  <"$folder/stdin" >"$folder/servers.json" &
servers=$!
exec 7>"$folder/stdin"
for _ in $(seq 100); do
  [[ -s $folder/servers.json ]] && break
  sleep 0.1
done
# of KEY...: what the servers said of themselves.
of() {
  python3 -c 'import functools, json, sys
print(functools.reduce(lambda d, key: d[key], sys.argv[2:], json.load(open(sys.argv[1]))))' \
    "$folder/servers.json" "$@"
}
cp data/gpu_jobs_2023.csv "$(of files)/jobs.csv"

"$airlock" serve --config "$(of config)" --state-dir "$folder/state" --jobs true \
  --listen http://127.0.0.1:0 2>"$folder/log" &
service=$!
for _ in $(seq 100); do
  grep -q serve.ready "$folder/log" && break
  kill -0 "$service" 2>/dev/null || break
  sleep 0.1
done
url=$(grep serve.start "$folder/log" | grep -o 'http://127.0.0.1:[0-9]*' | head -n 1)
if [[ -z $url ]]; then
  cat "$folder/log" >&2
  exit 1
fi
export AIRLOCK_SERVER=$url

# show ARGUMENT...: the command as a person would type it, then its output.
show() {
  printf '\n%s$ airlock %s%s\n' "$dim" "${*//$folder\/world\//}" "$plain"
  "$airlock" "$@" 2>&1 || wrong=1
}

chmod 0777 "$(of files)"
printf '%s$ ls job   # the repository; it needs no airlock.yaml%s\n' "$dim" "$plain"
ls job
printf '\n%s$ cat service.yaml   # what the operator says%s\n' "$dim" "$plain"
grep -v '^dns_servers' "$(of config)"
printf '\n%s$ airlock serve --config service.yaml &%s\n' "$dim" "$plain"
show submit "$(of url)" --follow --input "file://$(of files)/jobs.csv" \
  --memory 512m --disk 64m --cpu-cores 1 --challenge "demo-$$" \
  --env "MODEL_URL=$(of job custom_env_vars MODEL_URL)" \
  --env "FORBIDDEN_URL=$(of job custom_env_vars FORBIDDEN_URL)"
job=$("$airlock" jobs --json --limit 1 | grep -Eo 'job_[0-9a-f]{12}' | head -n 1)
show status "$job"
show outputs "$job" -o "$folder/results" --receipt "$folder/receipt.json"
printf '\n%s$ cat result.json%s\n' "$dim" "$plain"
cat "$folder/results/result.json" || wrong=1
show verify "$folder/receipt.json" --key "$folder/state/service/keys/receipt.pub" \
  --challenge "demo-$$" --outputs "$folder/results"
exit "$wrong"
