#!/usr/bin/env bash
# inventory.sh BEFORE AFTER: is the inventory that a pull request leads to valid, and what does it do to the protection?
# Reads both folders and runs nothing of them. Comments where the token may: not on pull requests of forks.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
before=$1 after=$2
said=$(mktemp)
trap 'rm -f "$said"' EXIT

code=0
plain validate --inventory "$after" >"$said" 2>&1 || code=$?
if [ "$code" != 0 ]; then
  found=$(block <"$said")
  printf '### The inventory is not valid\n\n%s\n' "$found" >"$said"
elif [ -d "$before" ]; then
  plain validate --inventory "$after" --against "$before" --markdown >"$said" || code=$?
  # 3: it changes something, which is what pull requests are for.
  [ "$code" != 3 ] || code=0
else
  printf '### The first inventory\n\n' >"$said"
  plain validate --inventory "$after" >>"$said" || code=$?
fi
summary <"$said"
guarded cat "$said"
guarded node "$ci/github.mjs" comment proxwarden-inventory "$said"
exit "$code"
