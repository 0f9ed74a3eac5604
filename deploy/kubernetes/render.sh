#!/usr/bin/env bash
# Writes the plain manifests of this folder from the chart. Needs helm, or HELM with its path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# render RELEASE NAMESPACE TARGET [VALUES]
render() {
  local values=()
  [[ -z ${4:-} ]] || values=(--values "$4")
  {
    cat <<END
# Rendered from deploy/helm/airlock by deploy/kubernetes/render.sh: change the chart, not this.
# kubectl -n $2 create secret generic airlock --from-literal=api-key=\$(openssl rand -hex 32)
# kubectl -n $2 apply -f ${3##*/}    # needs a RuntimeClass \`gvisor\` and the image
END
    "${HELM:-helm}" template "$1" ../helm/airlock --namespace "$2" "${values[@]}"
  } >"$3"
}

folder=${1:-.}
render airlock airlock "$folder/airlock.yaml"
render sandbox-executor swissbrain "$folder/swissbrain.yaml" ../helm/airlock/values-swissbrain.yaml
