#!/usr/bin/env bash
# Everything that needs neither root nor a network: format, lint, generated code, types, layers, unit tests.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
[ -d node_modules ] || {
  printf 'check: node_modules is missing\nrun: scripts/setup.sh\n' >&2
  exit 1
}
export PATH="$PWD/node_modules/.bin:$PATH"
. scripts/steps.sh

generated() {
  local work status=0
  work=$(mktemp -d)
  buf generate proto --output "$work" && diff -r src/common/gen "$work/src/common/gen" || status=1
  [ "$status" -eq 0 ] || printf 'the committed code is not what the .proto files give\nrun: npm run generate\n' >&2
  rm -rf "$work"
  return "$status"
}

# The longest unit test keeps one processor busy; the other steps run beside it. In the summary is what was left of it.
unit_log=$(mktemp)
trap 'rm -f "$unit_log"' EXIT
scripts/run-tests.sh unit >"$unit_log" 2>&1 &
unit=$!
unit_tests() {
  local status=0
  wait "$unit" || status=$?
  cat "$unit_log"
  return "$status"
}

step "format and lint" biome ci --error-on-warnings .
step "proto lint" buf lint proto
step "generated code" generated
step "types" tsc -p tsconfig.json
step "layers" depcruise src --config .dependency-cruiser.cjs
step "unit tests" unit_tests
steps_summary
