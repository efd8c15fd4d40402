#!/usr/bin/env bash
# run-tests.sh unit|integration|e2e|interop [PATTERN]: the TypeScript tests of one kind; PATTERN is part of a file's path.
# What failed is told once more at the end; with a file's name in TEST_FAILURES it is added to that instead, for test.sh to show.
# Two files at a time, three of the end-to-end tests, which mostly wait; one whose first line is "// Runs alone: WHY" has the machine to itself, after the others.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

fail() {
  printf 'run-tests: %s\n%s\n' "$1" "$2" >&2
  exit 2
}

kind=${1:-}
pattern=${2:-}
case $kind in
  unit) find_args=(src test/sim test/lab scripts bench -name '*.spec.ts' -o -path 'test/sim/*' -name '*.test.ts') ;;
  integration) find_args=(test/integration -name '*.test.ts') ;;
  e2e) find_args=(test/e2e -name '*.test.ts') ;;
  interop) find_args=(test/interop -name '*.test.ts') ;;
  *) fail "unknown kind of tests: ${kind:-none}" "use: unit, integration, e2e or interop" ;;
esac

if [ "$kind" != unit ]; then
  [ "$(id -u)" -eq 0 ] || fail "$kind tests need root: they make network namespaces and TUN devices" "run: sudo -E npm run test:$kind"
  for program in daemon ctl iex; do
    [ -f "dist/$program/main.js" ] || fail "the programs are not built" "run: npm run build"
  done
fi

mapfile -t files < <(find "${find_args[@]}" 2>/dev/null | sort | grep -F -- "$pattern")
[ "${#files[@]}" -gt 0 ] || fail "no $kind tests${pattern:+ match $pattern}" "look into test/ and src/"

together=() alone=()
for file in "${files[@]}"; do
  case $(head -n 1 "$file") in
    "// Runs alone: "*) alone+=("$file") ;;
    *) together+=("$file") ;;
  esac
done

status=0
failed=$(mktemp) part=$(mktemp)
trap 'rm -f "$failed" "$part"' EXIT
# run CONCURRENCY FILE...
run() {
  [ $# -gt 1 ] || return 0
  node --import tsx --test --test-reporter spec --test-reporter-destination stdout \
    --test-reporter ./scripts/failures.mjs --test-reporter-destination "$part" \
    --test-concurrency "$1" "${@:2}" || status=$?
  cat "$part" >>"$failed"
}
# Specs are small, and starting a process takes longer than most of them: they share one (SPECS, read by specs.ts).
if [ "$kind" = unit ]; then
  SPECS=$(printf '%s\n' "${together[@]}" | grep '\.spec\.ts$')
  mapfile -t together < <(printf '%s\n' "${together[@]}" | grep -v '\.spec\.ts$')
  export SPECS
  [ -z "$SPECS" ] || together=(scripts/specs.ts "${together[@]}")
fi
at_once=2
[ "$kind" != e2e ] || at_once=3
run "$at_once" "${together[@]}"
run 1 "${alone[@]}"
if [ -n "${TEST_FAILURES:-}" ]; then
  cat "$failed" >>"$TEST_FAILURES"
elif [ -s "$failed" ]; then
  printf '\n== FAILED\n'
  cat "$failed"
fi
exit "$status"
