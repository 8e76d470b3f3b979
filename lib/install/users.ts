/** Who runs it, and what they may read. */
import { FailedError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import { plainText } from '../text.ts';

/** Of the machine's own programs. */
export const SYSTEM_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
};

/** A user's number; null: there is no such user here. */
export async function userId(runtime: Pick<Runtime, 'exec'>, user: string): Promise<number | null> {
  const result = await runtime.exec({
    file: 'id',
    args: ['-u', '--', user],
    env: SYSTEM_ENV,
    stdin: '',
    timeoutMs: 10_000,
  });
  return result.exitCode === 0 && /^\d+\n?$/.test(result.stdout) ? Number(result.stdout) : null;
}

const UNREADABLE = 'for path; do [ -r "$path" ] || printf "%s\\n" "$path"; done';

/** Which of the files and folders a user can't read; only root can find out. Throws FailedError. */
export async function unreadableFor(
  runtime: Pick<Runtime, 'exec'>,
  user: string,
  paths: readonly string[],
): Promise<string[]> {
  const result = await runtime.exec({
    file: 'runuser',
    args: ['-u', user, '--', 'sh', '-c', UNREADABLE, 'sh', ...paths],
    env: SYSTEM_ENV,
    stdin: '',
    timeoutMs: 10_000,
  });
  if (result.exitCode !== 0)
    throw new FailedError(
      `runuser -u ${user}: ${plainText(result.stderr, 200) || (result.failure ?? `exit ${result.exitCode ?? '?'}`)}`,
    );
  return result.stdout.split('\n').filter((line) => line !== '');
}
