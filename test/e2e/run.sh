#!/usr/bin/env bash
# `npm run test:e2e`: the end-to-end tests beside a fresh control plane. Arguments go to vitest.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
export PATH="$PWD/node_modules/.bin:$PATH"
exec bash "$here/cluster/run.sh" vitest run --config vitest.e2e.config.ts "$@"
