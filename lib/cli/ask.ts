/** Questions to a person at a terminal: answered with or without echo. Ctrl-C and the end of the input end them. */
import { createInterface, type Interface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { FailedError } from '../errors.ts';
import { plainText } from '../text.ts';

export interface Asker {
  /** The answer without blanks around it; `fallback` (shown) when it is empty. */
  ask(question: string, fallback?: string): Promise<string>;
  /** Not echoed, not remembered, not shown afterwards. */
  secret(question: string): Promise<string>;
  /** True for `yes` alone, spelled out: what is confirmed here cannot be taken back. */
  confirm(question: string): Promise<boolean>;
}

export const INTERRUPTED = 'interrupted: nothing was written';

/** Asks on a terminal. Each question opens and closes it, so that Ctrl-C works as ever in between. */
export function terminalAsker(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  signal: AbortSignal,
): Asker {
  async function question(text: string, echo: boolean): Promise<string> {
    let muted = false;
    const screen = new Writable({
      write(chunk: Buffer, _encoding, done) {
        if (!muted) output.write(chunk);
        done();
      },
    });
    // `terminal`: it reads key by key, so that the terminal itself echoes nothing.
    const lines = createInterface({ input, output: screen, terminal: true, historySize: 0 });
    try {
      const answer = ended(lines, signal);
      const given = lines.question(`${text} `, { signal });
      // The question is on the screen; what follows is the answer.
      muted = !echo;
      return (await Promise.race([given, answer])).trim();
    } catch (error) {
      throw signal.aborted ? new FailedError(INTERRUPTED, { cause: error }) : error;
    } finally {
      muted = false;
      lines.close();
      if (!echo) output.write('\n');
    }
  }

  return {
    async ask(text, fallback) {
      const answer = await question(fallback === undefined ? text : `${text} [${plainText(fallback)}]`, true);
      return answer === '' ? (fallback ?? '') : answer;
    },
    secret: (text) => question(text, false),
    async confirm(text) {
      return (await question(`${text} [yes/no]`, true)).toLowerCase() === 'yes';
    },
  };
}

/** Rejects when there is nobody to answer any more. */
function ended(lines: Interface, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    lines.once('SIGINT', () => reject(new FailedError(INTERRUPTED)));
    lines.once('close', () => {
      if (!signal.aborted)
        reject(new FailedError('the input ended before all questions were answered; nothing was written'));
    });
  });
}
