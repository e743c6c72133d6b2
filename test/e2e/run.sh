#!/usr/bin/env bash
# `npm run test:e2e [FILE…]`: the end-to-end tests, each file beside a fresh control plane of its own, so that what one
# leaves behind (a Lease, keys, a namespace on its way out) is not there for the next. Ends with a line for each file.
#
# With HOLDFAST_E2E_KUBECONFIG they run against that cluster instead, one that may be thrown away: namespaces, CRDs and
# rights are made and deleted there. Pods with addresses of this machine and faults of the API server need the control
# plane of our own, so only the files below run, and the others are named as left out.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
export PATH="$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin"
anywhere=(test/e2e/chart.test.ts test/e2e/policies.test.ts)

# Debian's packages, where there is no such program.
packages() { # PACKAGE:PROGRAM…
  local missing=() name sudo=()
  for name in "$@"; do
    if ! command -v "${name#*:}" >/dev/null; then missing+=("${name%:*}"); fi
  done
  if ((${#missing[@]} == 0)); then return; fi
  if ((EUID != 0)); then sudo=(sudo -n); fi
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

beside_cluster() { bash "$here/cluster/run.sh" "$@"; }

if [[ -n ${HOLDFAST_E2E_KUBECONFIG:-} ]]; then
  export KUBECONFIG=$HOLDFAST_E2E_KUBECONFIG
  if ! { command -v kubectl && command -v helm; } >/dev/null; then
    tools=$("$here/cluster/build.sh")
    export PATH="$tools:$PATH"
  fi
  beside_cluster() { "$@"; }
  if (($# == 0)); then
    for file in test/e2e/*.test.ts; do
      if [[ " ${anywhere[*]} " != *" $file "* ]]; then echo "LEFT OUT, needs a control plane of its own: $file" >&2; fi
    done
    set -- "${anywhere[@]}"
  fi
else
  packages iproute2:ip mount:mount openssl:openssl curl:curl
  if (($# == 0)); then set -- test/e2e/*.test.ts; fi
fi

report=() failed=0
for file in "$@"; do
  began=$SECONDS
  if beside_cluster vitest run --config vitest.e2e.config.ts "$file"; then
    verdict=passed
  else
    verdict=FAILED failed=$((failed + 1))
  fi
  report+=("$(printf '%-6s %4d s  %s' "$verdict" $((SECONDS - began)) "$file")")
done
printf '%s\n' "${report[@]}"
printf 'end-to-end files: %d passed, %d failed\n' $(($# - failed)) "$failed"
((failed == 0))
