/** What systemd has to be told of units that have come or gone; only where it runs this machine. */
import { existsSync } from 'node:fs';
import { FailedError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import { plainText } from '../text.ts';

export const TIMER = 'proxwarden.timer';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function systemdRuns(): boolean {
  return existsSync('/run/systemd/system');
}

/** Runs systemctl. Throws FailedError with what it has said. */
export async function systemctl(runtime: Pick<Runtime, 'exec'>, ...args: string[]): Promise<void> {
  const result = await runtime.exec({
    file: 'systemctl',
    args,
    env: { PATH, LC_ALL: 'C' },
    stdin: '',
    timeoutMs: 60_000,
  });
  if (result.exitCode !== 0)
    throw new FailedError(
      `systemctl ${args.join(' ')}: ${plainText(result.stderr, 200) || (result.failure ?? `exit ${result.exitCode ?? '?'}`)}`,
    );
}

/** Its number; null: there is no such user here. */
export async function userId(runtime: Pick<Runtime, 'exec'>, user: string): Promise<number | null> {
  const result = await runtime.exec({
    file: 'id',
    args: ['-u', '--', user],
    env: { PATH, LC_ALL: 'C' },
    stdin: '',
    timeoutMs: 10_000,
  });
  return result.exitCode === 0 && /^\d+\n?$/.test(result.stdout) ? Number(result.stdout) : null;
}
