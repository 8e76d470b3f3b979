#!/usr/bin/env bash
# The work of a quiet `check-and-failover` as a shell script: the clusters by curl and jq, the probes by curl and nc, 16 at
# a time, the counts in a JSON file. What ProxWarden knows beyond that (verdicts, proofs, journals) is left out.
#   quiet.sh FOLDER: `api` (one URL of each node a line: NODE URL), `probes` (NAME KIND HOST PORT), token, ca.pem, counts.json
set -euo pipefail
cd "$1"
token=$(<token)
auth="Authorization: PVEAPIToken=$token"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export auth work

get() { curl -sSf -m 10 --cacert ca.pem -H "$auth" "$1" -o "$2"; }
export -f get

first=
while read -r node url; do
  get "$url/api2/json/cluster/status" "$work/status-$node" || continue
  quorate=$(jq '[.data[] | select(.type == "cluster")][0].quorate' "$work/status-$node")
  [ "$quorate" = 1 ] && [ -z "$first" ] && first=$url
done <api
[ -n "$first" ] || { echo "no endpoint has quorum"; exit 5; }
# One curl for what is asked of one node, so that it is one connection.
curl -sSf -m 10 --cacert ca.pem -H "$auth" "$first/api2/json/version" -o "$work/version" \
  "$first/api2/json/cluster/resources" -o "$work/resources" \
  "$first/api2/json/cluster/ha/resources" -o "$work/ha" \
  "$first/api2/json/cluster/ha/status/current" -o "$work/ha-status"
while read -r node url; do
  get "$first/api2/json/nodes/$node/netstat" "$work/netstat-$node"
done <api
jq -e '[.data[] | select(.type == "lxc") | {vmid, node, status}]' "$work/resources" >"$work/guests"

# The smallest shell there is for each: bash itself would cost more than what it runs.
xargs -P 16 -L 1 sh -c '
  if [ "$2" = tcp ]; then nc -z -w 5 "$3" "$4"; else curl -sf -m 5 -o /dev/null "http://$3:$4/"; fi &&
    echo "$1 ok" || echo "$1 fail"' probe <probes >"$work/results"

[ -f counts.json ] || echo '{}' >counts.json
jq -Rn --slurpfile old counts.json --slurpfile guests "$work/guests" '
  [inputs | split(" ")] | group_by(.[0])
  | map({key: .[0][0], value: (if all(.[1] == "ok") then 0 else ($old[0][.[0][0]] // 0) + 1 end)})
  | from_entries' "$work/results" >counts.json.new
sync counts.json.new
mv counts.json.new counts.json
jq -r '[to_entries[] | select(.value == 0)] | length as $ok | "\($ok) healthy"' counts.json
