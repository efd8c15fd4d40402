#!/usr/bin/env bash
# npm test: everything. The first part needs no root; integration, end-to-end and interoperability do.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/steps.sh

# Where the tests leave what failed, to be shown after everything else.
TEST_FAILURES=$(mktemp)
export TEST_FAILURES
trap 'rm -f "$TEST_FAILURES"' EXIT

step "check" scripts/check.sh
if [ -f native/Makefile ] && grep -q '^test:' native/Makefile; then
  step "native tests" make --no-print-directory -C native test
  step "fuzzing" make --no-print-directory -C native fuzz
fi
if [ "$(id -u)" -ne 0 ]; then
  steps_summary
  printf '\ntest: not root: the integration and end-to-end tests were not run\nrun: sudo -E npm test\n' >&2
  exit 1
fi
step "build" npm run --silent build
for kind in integration e2e interop; do
  # The runner refuses an empty list, and rightly so; a folder without tests is none.
  [ -n "$(find "test/$kind" -name '*.test.ts' 2>/dev/null)" ] || continue
  step "$kind tests" scripts/run-tests.sh "$kind"
done
steps_summary
status=$?
if [ -s "$TEST_FAILURES" ]; then
  printf '\n== FAILED tests\n'
  cat "$TEST_FAILURES"
fi
exit "$status"
