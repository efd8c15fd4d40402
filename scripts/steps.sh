# Sourced: runs named steps, goes on after a failure, and prints a summary with times.
step_names=()
step_results=()
step_failed=0

# step NAME COMMAND...
step() {
  local name=$1 start result code=0
  shift
  printf '\n== %s\n' "$name"
  start=$(date +%s%N)
  # In a condition, so that `set -e` of the caller does not end the run.
  if "$@"; then result=ok; else code=$? result=FAILED step_failed=1; fi
  local ms=$((($(date +%s%N) - start) / 1000000))
  [ "$result" = ok ] || printf '== %s failed (exit %d)\n' "$name" "$code"
  step_names+=("$name")
  step_results+=("$(printf '%-8s %4d.%03d s' "$result" $((ms / 1000)) $((ms % 1000)))")
}

# Prints the summary; the status is that of the whole run.
steps_summary() {
  local i
  printf '\n== summary\n'
  for i in "${!step_names[@]}"; do
    printf '   %-28s %s\n' "${step_names[$i]}" "${step_results[$i]}"
  done
  if [ "$step_failed" -eq 0 ]; then printf '== all passed\n'; else printf '== FAILED\n'; fi
  return "$step_failed"
}
