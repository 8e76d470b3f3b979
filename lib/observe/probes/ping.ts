/** The ping probe: the system's own ping (which may open the raw sockets that we may not), through zx. */
import type { ProbeSpec } from '../../inventory/types.ts';
import { killGroup, releasePipes } from '../../exec.ts';
import { plainText } from '../../text.ts';
import { formatDuration } from '../../units.ts';
import { ProbeError, type Attempt, type Outcome } from './attempt.ts';
import { connectionFailure, nameFailure } from './reasons.ts';

/** Sends one echo request. Rejects with ProbeError when there is no reply. */
export async function pingAttempt(
  spec: Extract<ProbeSpec, { kind: 'ping' }>,
  attempt: Attempt,
): Promise<Outcome> {
  // Loaded here: most runs have no ping probe, and zx is 30 ms of start-up.
  const { $ } = await import('zx/core');
  const { deps, signal, timeoutMs } = attempt;
  const address = await addressOf(spec.host, attempt);
  if (signal.aborted) throw new ProbeError(`no answer within ${formatDuration(timeoutMs)}`, false);
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
  // These come from a router or from our own kernel: the host itself has given no sign.
  if (/host unreachable|no route to host/i.test(said)) throw new ProbeError('no route to host', false);
  if (/net(work)? (is )?unreachable/i.test(said)) throw new ProbeError('network unreachable', false, true);
  if (ping.exitCode === 1)
    throw new ProbeError(`no answer within ${formatDuration(attempt.timeoutMs)}`, false);
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
