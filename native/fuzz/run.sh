#!/usr/bin/env bash
# Runs fuzz targets, two at a time: fuzz/run.sh BUILD SECONDS NAME... Exit code 1 when one of them found something.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
build=$1 seconds=$2
shift 2
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
# one NAME
one() {
  local name=$1 found=$build/fuzz-corpus/$1 log=$build/fuzz-$1.log runs reached
  mkdir -p "$found" "fuzz/corpus/$name"
  if "$build/fuzz-$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -close_fd_mask=1 \
    -artifact_prefix="$found-" "$found" "fuzz/corpus/$name" 2>"$log"; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    reached=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
    printf 'ok      %-12s %9s inputs  %s\n' "$name" "$runs" "$reached"
  else
    printf 'not ok  %-12s %s\n%s\n' "$name" "$log" "$(tail -n 40 "$log")"
    return 1
  fi
}
export build seconds
export -f one
printf '%s\n' "$@" | xargs -P 2 -I {} bash -c 'one {}' || exit 1
