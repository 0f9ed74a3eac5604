#!/usr/bin/env bash
# What Airlock does, in half a minute: useful programs, then hostile ones, each with its verdict.
# AIRLOCK names the binary. Exit status 0 if every verdict was the right one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

airlock=${AIRLOCK:-$PWD/../build/release/bin/airlock}
if [[ ! -x $airlock ]]; then
  echo "demo: $airlock is not there; ./dev build makes it" >&2
  exit 1
fi
output=$(mktemp -d) || exit 1
trap 'rm -rf "$output"' EXIT
wrong=0

bold='' dim='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
  export DEMO_COLOR=1
fi

title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

# show ARGUMENT...: the command as a person would type it, then its output.
show() {
  printf '%s$ airlock %s%s\n' "$dim" "${*/#$output/out}" "$plain"
  "$airlock" "$@" 2>&1 </dev/null || wrong=$((wrong + 1))
}

# hostile EXPECTED PURPOSE ARGUMENT...
hostile() {
  local expected=$1 purpose=$2
  shift 2
  python3 verdict.py "$expected" "$purpose" "$airlock" run "$@" || wrong=$((wrong + 1))
}

# Mounts, processes and cgroups of Airlock on the host, those of other runs included.
count_leftovers() {
  local mounts processes cgroups
  mounts=$(grep -c airlock /proc/self/mountinfo)
  processes=$(cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^airlock')
  cgroups=$(find /sys/fs/cgroup -mindepth 1 -type d -path '*/airlock/s*' 2>/dev/null | wc -l)
  echo "$mounts mounts, $processes processes, $cgroups cgroups"
}

before=$(count_leftovers)

title "1. What this host can run"
show languages

title "2. A Python analysis of 6,983 real GPU jobs: a file goes in, a report comes out"
show run --verbose analysis.py --file data/gpu_jobs_2023.csv --output "$output"
printf '%sleft in /output:%s\n' "$dim" "$plain"
(cd "$output" && wc -c -- * | sed '$d')

title "3. A C++ program: compiled in one phase, run in the next, each with its own limits"
show run --verbose mandelbrot.cc

title "4. Programs that mean harm, one for each kind of limit"
hostile wall_timeout  "sleeps for ever, ignores SIGTERM" --timeout 1s hostile/sleep_forever.py
hostile cpu_timeout   "burns two CPUs"                   --cpu-time 1s hostile/spin.c
hostile out_of_memory "takes memory without end"         --memory 64m hostile/memory_bomb.py
hostile process_limit "fork bomb"                        --pids 32 hostile/fork_bomb.py
hostile output_limit  "floods stdout"                    --output-limit 1m hostile/output_flood.js
hostile disk_limit    "fills the disk"                   --disk 16m hostile/disk_fill.rb
hostile denied        "attaches to another process"      hostile/ptrace.c
hostile "exited:reached 0 of" "calls home over the network" hostile/phone_home.py
hostile "exited:found 0 of" "looks for the host's secrets"  hostile/read_secrets.sh

title "5. The same over HTTP"
bash http_demo.sh "$airlock" || wrong=$((wrong + 1))

title "6. A job: a repository through two phases, with the internet and then without"
bash job_demo.sh "$airlock" || wrong=$((wrong + 1))

title "7. What all of that left on this host"
printf 'before: %s\nnow:    %s\n' "$before" "$(count_leftovers)"

if ((wrong > 0)); then
  printf '\n%d of these did not go as they should.\n' "$wrong"
  exit 1
fi
printf '\nEvery verdict was the right one.\n'
