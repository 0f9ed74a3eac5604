#!/usr/bin/env bash
# From a fresh checkout to a running service: packages, build, programs and units, and what is wrong
# with this host. The same as `make setup-all`; `./dev help` has the steps one by one.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/dev" setup-all "$@"
