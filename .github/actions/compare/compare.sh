#!/usr/bin/env bash
# Compares BASE and CANDIDATE in TARGET and leaves for the next step: code, outcome, comment, comparison.
set -euo pipefail
folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/perfcrew.XXXXXX")
comment=$folder/comment.md
comparison=$folder/comparison.json
read -r -a options <<<"${OPTIONS:-}"

code=0
perfcrew compare "$BASE" "$CANDIDATE" "$TARGET" --within "$WITHIN" ${options[@]+"${options[@]}"} \
  --markdown "$comment" --json "$comparison" 2>"$folder/said" || code=$?
cat "$folder/said" >&2

outcome=incomplete
if [ -s "$comparison" ]; then
  outcome=$(jq -r .outcome "$comparison")
else
  {
    echo "**perfcrew could not compare these revisions** (exit code $code)"
    echo
    echo '```'
    tail -n 5 "$folder/said"
    echo '```'
  } >"$comment"
fi
{
  echo "code=$code"
  echo "outcome=$outcome"
  echo "comment=$comment"
  echo "comparison=$comparison"
} >>"$GITHUB_OUTPUT"
