#!/usr/bin/env bash
# Writes the comparison into the job's summary, one comment and a check; ends with the comparison's exit code.
set -euo pipefail
mark='<!-- perfcrew compare -->'
cat "$COMMENT" >>"$GITHUB_STEP_SUMMARY"

case "$CODE:$OUTCOME" in
  0:underpowered) conclusion=neutral ;;
  0:*) conclusion=success ;;
  *) conclusion=failure ;;
esac

# GitHub takes 65,535 characters.
body=$(mktemp)
{
  echo "$mark"
  head -c 60000 "$COMMENT"
} >"$body"

publish_comment() {
  local known
  known=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments" \
    --jq ".[] | select(.body | startswith(\"$mark\")) | .id" | head -n 1)
  if [ -n "$known" ]; then
    gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$known" --field "body=@$body"
  else
    gh api --silent --method POST "repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments" --field "body=@$body"
  fi
}

publish_check() {
  gh api --silent --method POST "repos/$GITHUB_REPOSITORY/check-runs" \
    --raw-field name=perfcrew --raw-field "head_sha=$HEAD_SHA" --raw-field status=completed \
    --raw-field "conclusion=$conclusion" \
    --raw-field "output[title]=${OUTCOME//_/ }" --field "output[summary]=@$body"
}

# Tokens of pull requests from forks may only read: the summary and the exit code are there all the same.
if [ -n "${NUMBER:-}" ]; then
  publish_comment || echo "::warning::perfcrew: no comment was written; it needs pull-requests: write"
fi
publish_check || echo "::warning::perfcrew: no check was written; it needs checks: write"
exit "$CODE"
