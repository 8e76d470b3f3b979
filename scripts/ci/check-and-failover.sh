#!/usr/bin/env bash
# One run of check-and-failover. Operations are handed to processes that outlive the job, so that the next one looks after the others.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
state_outside
code=0
# Without this the runner ends what a job has left behind.
RUNNER_TRACKING_ID='' proxwarden check-and-failover --detach || code=$?
{
  echo "### check-and-failover: exit $code"
  { plain status 2>&1 || true; } | block
} | summary
echo "code=$code" >>"$GITHUB_OUTPUT"
case $code in
0 | 75) ;;
3) echo '::warning::something is unhealthy and is being counted, or a failover has begun' ;;
4) echo '::error::blocked: a person is needed (see the summary)' && exit 4 ;;
*) echo "::error::check-and-failover ended with $code" && exit "$code" ;;
esac
