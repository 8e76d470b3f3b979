/**
 * What a root shell runs on a node. The texts are fixed: everything else is an argument of theirs. The last line of the
 * output says how it went: `not begun` (nothing has been done, for certain), `begun`, or `ended` with an exit code.
 */
import type { ShellOrder } from '../runtime.ts';

/** How long pct is watched for a refusal; a restore that goes on has forked its worker by then. */
const WATCH_SECONDS = 2;
/**
 * Whoever lost the connection looks for a minute what came of a move (look.ts). One that was held up longer than this
 * before it could begin doesn't begin; pmxcfs itself holds a write up for some eight seconds (facts, section 8).
 */
const STALE_SECONDS = 20;

/** uname and not hostname: a node is called by the former. */
const HEAD = `
PATH=$PATH:/usr/sbin:/sbin
node=$1 root=$2
shift 2
refuse() { echo "$1"; echo 'proxwarden: not begun'; exit 0; }
ended() { echo; echo "proxwarden: ended $1"; exit 0; }
name=$(uname -n)
[ "\${name%%.*}" = "$node" ] || refuse "this is $name, not $node"
`;

/** pmxcfs says it itself; a write without quorum would fail, but reads show what was. */
const QUORUM = `
grep -q '"quorate": *1' "$root/.members" 2>/dev/null || refuse "$node has no quorum, or $root is not the cluster's file system"
`;

/** Arguments: how many paths, the paths, pct's arguments. A pct that is busy is left to itself, in a session of its own. */
const PCT = `
paths=$1
shift
while [ "$paths" -gt 0 ]; do
  [ -e "$1" ] || refuse "there is no $1 on $node"
  shift
  paths=$((paths - 1))
done
command -v pct >/dev/null || refuse "there is no pct on $node"
said=$(mktemp) || refuse ''
setsid sh -c 'said=$1; shift; pct "$@" >"$said" 2>&1; echo $? >"$said.code"; mv "$said.code" "$said.end"; sleep 10; rm -f "$said" "$said.end"' sh "$said" "$@" </dev/null >/dev/null 2>&1 &
looks=0
while [ ! -f "$said.end" ] && [ "$looks" -lt ${WATCH_SECONDS * 10} ]; do sleep 0.1; looks=$((looks + 1)); done
if [ -f "$said.end" ]; then cat "$said"; ended "$(cat "$said.end")"; else echo 'proxwarden: begun'; fi
`;

/** Argument: the path. */
const READ_CONFIG = `
file=$root/$1
[ -f "$file" ] || refuse "there is no $file"
sha1sum <"$file" || refuse "$file can't be read"
cat "$file"
ended $?
`;

/** Arguments: from, to, SHA-1. A rename in pmxcfs is atomic; links and permissions it doesn't know (facts, section 8). */
const MOVE_CONFIG = `
from=$root/$1 to=$root/$2 sha1=$3 begun=$(date +%s)
if [ ! -e "$from" ] && [ -e "$to" ]; then ended 0; fi
[ -f "$from" ] || refuse "there is no $from"
[ ! -e "$to" ] || refuse "there is a $to already"
sum=$(sha1sum <"$from") || refuse "$from can't be read"
[ "\${sum%% *}" = "$sha1" ] || refuse "$from is not the file that was looked at: it has been changed since"
folder=$(dirname "$to")
[ -d "$folder" ] || mkdir -p "$folder" || [ -d "$folder" ] || refuse "$folder can't be made"
[ $(($(date +%s) - begun)) -lt ${STALE_SECONDS} ] || refuse "$node was held up too long"
said=$(mv -n -T "$from" "$to" 2>&1)
if [ ! -e "$from" ] && [ -f "$to" ]; then ended 0; fi
[ -e "$from" ] && [ ! -e "$to" ] && refuse "$from can't be moved: $said"
echo "$from and $to: $said"
ended 1
`;

/** Argument: the vmid. With its config on this node it is no orphan; with none anywhere it may be all there is. */
const STOP_ORPHAN = `
vmid=$1
[ ! -e "$root/nodes/$node/lxc/$vmid.conf" ] || refuse "CT $vmid has its config on $node: it is no orphan"
set -- "$root"/nodes/*/lxc/"$vmid.conf"
[ -e "$1" ] || refuse "no node has a config of CT $vmid: it may be the only copy"
command -v lxc-stop >/dev/null || refuse "there is no lxc-stop on $node"
lxc-stop -k -n "$vmid" 2>&1
ended $?
`;

/** It answers first: the order itself takes the connection down. */
const POWER_OFF = `
command -v systemctl >/dev/null || refuse "there is no systemctl on $node"
setsid sh -c 'sleep 2; systemctl poweroff' </dev/null >/dev/null 2>&1 &
ended 0
`;

const GREET = `
[ -d "$root/nodes" ] || refuse "there is no $root/nodes on $node"
command -v pct >/dev/null || refuse "there is no pct on $node, or it is not in the PATH of this user"
ended 0
`;

/** The script with its arguments, as `sh -c` takes them. `root`: of the cluster's file system. */
export function scriptOf(order: ShellOrder, node: string, root: string): string[] {
  const call = (script: string, ...args: readonly string[]): string[] => [
    `${HEAD}${script}`,
    'sh',
    node,
    root,
    ...args,
  ];
  switch (order.kind) {
    case 'pct':
      return call(PCT, String(order.paths.length), ...order.paths, ...order.args);
    case 'read-config':
      return call(READ_CONFIG, order.path);
    case 'move-config':
      return call(`${QUORUM}${MOVE_CONFIG}`, order.from, order.to, order.sha1);
    case 'stop-orphan':
      return call(`${QUORUM}${STOP_ORPHAN}`, String(order.vmid));
    case 'power-off':
      return call(POWER_OFF);
    case 'greet':
      return call(GREET);
  }
}
