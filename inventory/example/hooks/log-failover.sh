#!/bin/sh
# An example of a hook: writes one line per failover to .lab/hooks.log in the inventory folder.
# Copy it and put what you need in place of the last lines: update DNS, send a message, tell the monitoring.
#
# A hook is a program inside the inventory folder. It is started directly, without a shell in between, and inherits
# nothing. What happened is in PROXWARDEN_* variables, and the same as JSON on standard input. After an interruption
# it may be called again: PROXWARDEN_OPERATION stays the same then.
set -eu

cd "$(dirname "$0")/.."
[ -d .lab ] || exit 0 # no lab was ever started here: nowhere to write to

printf '%s %s now runs on %s as CT %s, restored from %s (operation %s)\n' \
  "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$PROXWARDEN_CONTAINER" "$PROXWARDEN_TO_NODE" \
  "$PROXWARDEN_TO_VMID" "$PROXWARDEN_BACKUP" "$PROXWARDEN_OPERATION" >> .lab/hooks.log
