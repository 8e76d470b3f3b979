#!/usr/bin/env bash
# A failover by hand, in two dispatches: without PLAN it shows what would be done and the id of that plan; with PLAN, and the
# container's name typed once more, it executes exactly that or refuses.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
state_outside
[[ $CONTAINER =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || refuse 'that is not the name of a container'
[[ $MODE =~ ^(plan|planned|emergency)$ ]] || refuse 'the mode is plan, planned or emergency'
{
  echo "### Failover of $CONTAINER"
  printf 'asked for by %s\nreason: %s\n' "$GITHUB_ACTOR" "$REASON" | block
} | summary

if [ -n "$PLAN" ]; then
  [ "$MODE" != plan ] || refuse 'mode "plan" only shows: to execute one, dispatch with the mode that it was made for'
  [[ $PLAN =~ ^[0-9a-f]+$ ]] || refuse 'that is not the id of a plan'
  [ "$CONFIRM" = "$CONTAINER" ] || refuse "nothing was done: to confirm, type the container's name ($CONTAINER)"
  said=$(mktemp)
  code=0
  proxwarden failover "$CONTAINER" --plan="$PLAN" 2>&1 | tee "$said" || code=$?
  grep -v '^::' "$said" | block | summary
  rm -f "$said"
  exit "$code"
fi

flags=()
[ -z "$TARGET" ] || flags+=("--to=$TARGET")
[ -z "$BACKUP" ] || flags+=("--backup=$BACKUP")
[ -z "$ACCEPT_DATA_LOSS" ] || flags+=("--accept-data-loss=$ACCEPT_DATA_LOSS")
case $MODE in plan) modes=(planned emergency) ;; *) modes=("$MODE") ;; esac
made=0
code=0
for mode in "${modes[@]}"; do
  more=(--dry-run)
  # A planned move is made from a fresh backup.
  if [ "$mode" = planned ]; then more+=(--planned); fi
  one=0
  said=$(plain failover "$CONTAINER" "${flags[@]}" "${more[@]}" 2>&1) || one=$?
  guarded printf '%s: exit %s\n%s\n' "$mode" "$one" "$said"
  {
    echo "#### mode: $mode"
    printf '%s\n' "$said" | block
  } | summary
  if [ "$one" = 3 ]; then
    id=$(sed -nE 's/^plan ([0-9a-f]+), holds for .*/\1/p' <<<"$said")
    [ -n "$id" ] || refuse 'no plan was made'
    made=$((made + 1))
    echo "$mode=$id" >>"$GITHUB_OUTPUT"
    printf 'To execute exactly this within 30 minutes: dispatch again with mode `%s`, plan `%s`, confirm `%s`.\n\n' "$mode" "$id" "$CONTAINER" | summary
  else
    code=$one
  fi
done
[ "$made" -gt 0 ] || exit "$code"
