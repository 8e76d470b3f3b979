#!/usr/bin/env bash
# After a failover: a pull request that records the new home in the inventory, or an issue where that can't be done.
# It is kept up to date, and closed when everybody is at home. Needs nothing but the job's token.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
state_outside
branch=proxwarden/drift
said=$(mktemp)
trap 'rm -f "$said"' EXIT

guarded plain check || true
code=0
plain drift --write >"$said" 2>&1 || code=$?
guarded cat "$said"
block <"$said" | summary
case $code in
0) node "$ci/github.mjs" settle "$branch" && exit ;;
3) ;;
*) echo "::error::drift ended with $code" && exit "$code" ;;
esac
{
  echo 'These containers live elsewhere than the inventory says:'
  echo
  found=$(block <"$said")
  echo "${found//"$GITHUB_WORKSPACE/"/}"
  echo
  echo 'Merge, and that is their home; or take them back with `proxwarden failback NAME`. Look at their `nodes:`, too: where may they go next?'
  echo 'What a job pushes starts no other workflow: close and open this again to have it checked.'
} >"$said.md"
mv "$said.md" "$said"

if git diff --quiet; then
  node "$ci/github.mjs" issue "$branch" "$said"
  exit
fi
git -c user.name=ProxWarden -c user.email=proxwarden@users.noreply.github.com commit --quiet -am 'Record where containers live after a failover'
# The same again needs no push.
if ! git fetch --quiet origin "$branch" 2>/dev/null || [ "$(git rev-parse 'FETCH_HEAD^{tree}')" != "$(git rev-parse 'HEAD^{tree}')" ]; then
  git push --quiet --force origin "HEAD:refs/heads/$branch"
fi
node "$ci/github.mjs" pull-request "$branch" "$said"
