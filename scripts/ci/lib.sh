# What the scripts of the workflows have in common. Beside dist/, wherever that is: in a checkout, or in node_modules.
ci=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# In a job it groups its lines, annotates the run, and lets nothing of a stranger's be an order to the runner.
proxwarden() { node "$ci/../../dist/proxwarden.js" "$@"; }

# The same without groups and annotations, to be shown elsewhere.
plain() { GITHUB_ACTIONS='' proxwarden "$@"; }

# Appends what it reads to the job's summary.
summary() { cat >>"$GITHUB_STEP_SUMMARY"; }

# As a block that nothing in it can end.
block() {
  printf '```text\n'
  tr '`' "'"
  printf '```\n'
}

# Runs a command. Nothing that it prints is an order to the runner: names and errors may be strangers'.
guarded() {
  local token code=0
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  echo "::stop-commands::$token"
  "$@" || code=$?
  echo "::$token::"
  return "$code"
}

refuse() {
  echo "::error::$1"
  printf '%s\n' "$1" | summary
  exit 2
}

# The next checkout would clean it away, and with it counts and brakes.
state_outside() {
  case "$(realpath -m "${PROXWARDEN_STATE:?is not set}")/" in
  "$(realpath -m "$GITHUB_WORKSPACE")"/*) refuse "the state $PROXWARDEN_STATE is in the work tree, which every checkout cleans: name a folder outside" ;;
  esac
}
