#!/usr/bin/env bash
# `npm run test:e2e [FILE…]`: the end-to-end tests, each file beside a fresh control plane of its own, so that what one
# leaves behind (a Lease, keys, a namespace on its way out) is not there for the next. Ends with a line that counts files.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
export PATH="$PWD/node_modules/.bin:$PATH"
if (($# == 0)); then set -- test/e2e/*.test.ts; fi
passed=0 failed=()
for file in "$@"; do
  if bash "$here/cluster/run.sh" vitest run --config vitest.e2e.config.ts "$file"; then passed=$((passed + 1)); else failed+=("$file"); fi
done
printf 'end-to-end files: %d passed, %d failed %s\n' "$passed" "${#failed[@]}" "${failed[*]-}"
((${#failed[@]} == 0))
