/** The exec probe: a monitoring plugin. Exit 0 is fine, 1 a warning, 2 critical, 3 (and all else) unknown. */
import type { ProbeSpec } from '../../inventory/types.ts';
import { plainText } from '../../text.ts';
import { ProbeError, type Attempt, type Outcome } from './attempt.ts';

/**
 * Runs the plugin. A warning counts as ok: the service answers, and being slow is no reason to move a container.
 * Its exit code alone is no sign of life except for 0 and 1. Rejects with ProbeError when it gives no exit code.
 * Unknown says nothing of the service, be it up or down.
 */
export async function execAttempt(
  spec: Extract<ProbeSpec, { kind: 'exec' }>,
  attempt: Attempt,
): Promise<Outcome> {
  const { deps, signal, timeoutMs } = attempt;
  const result = await deps.exec({
    file: spec.path,
    args: spec.args,
    env: { PATH: deps.path, LC_ALL: 'C' },
    stdin: '',
    // The attempt's signal ends it at the deadline; with the same time here it would be chance which says so.
    timeoutMs: timeoutMs * 2,
    signal,
  });
  if (result.exitCode === null) throw new ProbeError(result.failure ?? 'it gave no exit code', false, true);
  const line = firstLine(result.stdout) || firstLine(result.stderr);
  const ok = result.exitCode === 0 || result.exitCode === 1;
  if (ok) attempt.alive();
  if (result.exitCode === 0 && line === '') return { ok };
  const unknown = !ok && result.exitCode !== 2;
  return { ok, unknown, reason: `exit ${result.exitCode}${line === '' ? '' : `: ${line}`}` };
}

/** The first line that has anything on it. */
function firstLine(output: string): string {
  for (const line of output.split(/\r?\n/)) {
    const text = plainText(line);
    if (text !== '') return text;
  }
  return '';
}
