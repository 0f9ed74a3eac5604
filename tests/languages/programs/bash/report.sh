#!/bin/bash
set -euo pipefail
declare -A count total best best_score
names=()
while IFS=, read -r name team score; do
  count[$team]=$((${count[$team]:-0} + 1))
  total[$team]=$((${total[$team]:-0} + score))
  if ((score > ${best_score[$team]:--1})); then
    best_score[$team]=$score
    best[$team]=$name
  fi
  if [[ $name =~ ^[ABCDEFGHIJKLM] ]]; then names+=("$name"); fi
done < <(tail -n +2 data.csv)

squares() {
  local sum=0 i
  for ((i = $1; i <= 10000; i += 4)); do sum=$((sum + i * i)); done
  echo "$sum" >"/tmp/part.$1"
}
for part in 0 1 2 3; do squares "$part" & done
wait
{
  for team in "${!count[@]}"; do
    echo "$team ${count[$team]} ${total[$team]} ${best[$team]}"
  done | sort -k3,3nr
  echo "sha256 $(sha256sum data.csv | cut -d' ' -f1)"
  echo "squares $(cat /tmp/part.* | awk '{ sum += $1 } END { printf "%.0f", sum }')"
  (IFS=,; echo "names ${names[*]}")
  (IFS='|'; echo "args $*")
} >/output/result.txt
echo "done $(cat)"
