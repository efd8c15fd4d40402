#!/usr/bin/env bash
# Takes the inputs that reach new code over to fuzz/corpus: fuzz/merge.sh BUILD NAME...
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
build=$1
shift
for name in "$@"; do
  [ -d "$build/fuzz-corpus/$name" ] || continue
  "$build/fuzz-$name" -merge=1 -max_len=2048 -close_fd_mask=1 "fuzz/corpus/$name" "$build/fuzz-corpus/$name" 2>/dev/null
  printf '%-12s %s files\n' "$name" "$(find "fuzz/corpus/$name" -type f | wc -l)"
done
