#!/usr/bin/env bash
# Runs the targets and puts a table into the job's summary; ends with the batch's exit code.
set -euo pipefail
read -r -a options <<<"${OPTIONS:-}"

code=0
perfcrew batch "$TARGETS" --out "$OUT" ${options[@]+"${options[@]}"} >/dev/null || code=$?

if [ -s "$OUT/summary.md" ]; then
  cat "$OUT/summary.md" >>"$GITHUB_STEP_SUMMARY"
elif [ -s "$OUT/results.jsonl" ]; then
  {
    echo '| target | outcome | goals met | reason |'
    echo '|---|---|---|---|'
    jq -r '[.path, .outcome, (if .goals_met then "yes" else "no" end), .reason]
      | map(tostring | gsub("[|\n]"; " ")) | "| " + join(" | ") + " |"' "$OUT/results.jsonl"
  } >>"$GITHUB_STEP_SUMMARY"
fi
exit "$code"
