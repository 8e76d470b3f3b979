/** The ping probe: fping or the system's own ping, which may open the raw sockets that we may not. */
import pLimit from 'p-limit';
import type { ProbeSpec } from '../../inventory/types.ts';
import { killGroup, releasePipes } from '../../exec.ts';
import { plainText } from '../../text.ts';
import { ProbeError, type Attempt, type Outcome } from './attempt.ts';
import { askFping, fpingOn } from './fping.ts';
import { connectionFailure, nameFailure, noAnswer, routeFailure } from './reasons.ts';

/** Processes of ping at the same time, when fping was to do it and can't: so many more attempts are under way then. */
const insteadOfFping = pLimit(64);

/** Sends one echo request. Rejects with ProbeError when there is no reply. */
export async function pingAttempt(
  spec: Extract<ProbeSpec, { kind: 'ping' }>,
  attempt: Attempt,
): Promise<Outcome> {
  const { deps, timeoutMs } = attempt;
  const address = await addressOf(spec.host, attempt);
  const fping = fpingOn(deps.path);
  if (fping === undefined) return pingAddress(address, attempt);
  const outcome = await askFping(fping, address, attempt);
  if (outcome !== null) return outcome;
  attempt.waits('not asked in time: fping does not work, and there are too many to ping');
  const tooLate = deps.clock.now() + timeoutMs / 2;
  return insteadOfFping(() => {
    // With less time than that, silence says nothing.
    if (deps.clock.now() < tooLate) attempt.waits(undefined);
    return pingAddress(address, attempt);
  });
}

/** By the system's ping, through zx. */
async function pingAddress(address: string, attempt: Attempt): Promise<Outcome> {
  // Loaded here: most runs need none, and zx is 30 ms of start-up.
  const { $ } = await import('zx/core');
  const { deps, signal, timeoutMs } = attempt;
  if (signal.aborted) throw noAnswer(timeoutMs);
  // Whole seconds, because busybox knows no others; the deadline ends it earlier. `--`: a host is never an option.
  const args = ['-n', '-c', '1', '-W', String(Math.max(1, Math.ceil(timeoutMs / 1000))), '--', address];
  const run = $({
    env: { PATH: deps.path, LC_ALL: 'C' },
    nothrow: true,
    quiet: true,
    detached: true,
    // Not zx's pipe: with a socket as its input bash takes itself for a remote login and runs ~/.bashrc first.
    stdio: ['ignore', 'pipe', 'pipe'],
  })`ping ${args}`;
  releasePipes(run.child);
  // zx's own kill looks for the children with `ps`, which small images lack; a process group needs no looking.
  const abort = (): void => {
    if (run.pid !== undefined) killGroup(run.pid, 'SIGKILL');
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    const { exitCode, stdout, stderr } = await run;
    return pingOutcome({ exitCode, stdout, stderr }, attempt);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** What ping said (iputils or busybox, LC_ALL=C), as an outcome; throws ProbeError when it is no reply. */
function pingOutcome(
  ping: { exitCode: number | null; stdout: string; stderr: string },
  attempt: Attempt,
): Outcome {
  if (ping.exitCode === 0) {
    attempt.alive();
    const time = /\btime[=<]([\d.]+) ?ms/.exec(ping.stdout)?.[1];
    return { ok: true, latencyMs: time === undefined ? undefined : Number(time) };
  }
  const said = `${ping.stdout}\n${ping.stderr}`;
  if (ping.exitCode === 127) throw new ProbeError('ping not found (install iputils-ping)', false, true);
  const failure = routeFailure(said);
  if (failure !== undefined) throw failure;
  if (ping.exitCode === 1) throw noAnswer(attempt.timeoutMs);
  const line = ping.stderr.split('\n').find((each) => each.trim() !== '') ?? '';
  throw new ProbeError(
    `ping failed: ${plainText(line) || `exit ${ping.exitCode ?? 'by a signal'}`}`,
    false,
    true,
  );
}

/** Looked up here, so that a name server that is silent is not taken for a silent host. */
async function addressOf(host: string, attempt: Attempt): Promise<string> {
  try {
    const [first] = await attempt.lookUp(host);
    if (first !== undefined) return first.address;
  } catch (error) {
    throw connectionFailure(error, host);
  }
  throw nameFailure(host);
}
