/** What systemd has to be told of units that have come or gone; only where it runs this machine. */
import { existsSync } from 'node:fs';
import { FailedError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import { plainText } from '../text.ts';
import { SYSTEM_ENV } from './users.ts';

export const TIMER = 'proxwarden.timer';

export function systemdRuns(): boolean {
  return existsSync('/run/systemd/system');
}

/** Runs systemctl. Throws FailedError with what it has said. */
export async function systemctl(runtime: Pick<Runtime, 'exec'>, ...args: string[]): Promise<void> {
  const result = await runtime.exec({
    file: 'systemctl',
    args,
    env: SYSTEM_ENV,
    stdin: '',
    timeoutMs: 60_000,
  });
  if (result.exitCode !== 0)
    throw new FailedError(
      `systemctl ${args.join(' ')}: ${plainText(result.stderr, 200) || (result.failure ?? `exit ${result.exitCode ?? '?'}`)}`,
    );
}
