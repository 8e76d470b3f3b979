/** `proxwarden` on a terminal of its own, made by `script`; what it asks is answered when it has been asked. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { COMMAND, until } from './stage.ts';

export const haveTerminal = spawnSync('script', ['--version']).status === 0;

export interface Talk {
  /** Everything that was on the screen. */
  readonly screen: string;
  readonly code: number | null;
}

/** Runs it, and types each answer once its question is on the screen. `\u0003` is Ctrl-C. */
export async function talk(
  words: readonly string[],
  answers: readonly (readonly [question: RegExp, answer: string])[],
  options: { cwd: string; home?: string },
): Promise<Talk> {
  const inside = [process.execPath, COMMAND, ...words].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', `stty cols 200; exec ${inside}`, '/dev/null'], {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'], HOME: options.home ?? options.cwd, TERM: 'xterm', NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let screen = '';
  let seen = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text));
  const closed = once(child, 'close');
  const limit = setTimeout(() => child.kill('SIGKILL'), 30_000);
  try {
    for (const [question, answer] of answers) {
      await until(() => question.test(screen.slice(seen)) || child.exitCode !== null);
      assert.match(screen.slice(seen), question, screen);
      seen = screen.length;
      child.stdin.write(answer === '\u0003' ? answer : `${answer}\r`);
    }
    await closed;
  } finally {
    clearTimeout(limit);
    child.kill('SIGKILL');
  }
  return { screen: plain(screen), code: child.exitCode };
}

/** Without the sequences that move the cursor. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '');
}
