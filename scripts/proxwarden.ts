/** The entry: a list of commands, each loaded only when it runs. */
import { setMaxListeners } from 'node:events';
import { constants } from 'node:os';
import { main } from '../lib/cli/main.ts';
import { EXIT, messageOf, type ExitCode } from '../lib/errors.ts';
import { redact } from '../lib/redact.ts';
import { systemRuntime } from '../lib/system-runtime.ts';
import { isUtf8, toAscii } from '../lib/tell/ascii.ts';
import { oneLine } from '../lib/text.ts';
import { COMMANDS } from './commands.ts';

// A diagnostic report holds the whole environment, and so the secrets that `env:NAME` names.
Object.assign(process.report, {
  reportOnFatalError: false,
  reportOnSignal: false,
  reportOnUncaughtException: false,
});
// A bug: one line without secrets, and no stack trace that could show what an error carries along.
process.on('uncaughtException', (error) => {
  process.stderr.write(`proxwarden: unexpected: ${oneLine(redact(messageOf(error)))} (a bug)\n`);
  process.exit(EXIT.failed);
});
const controller = new AbortController();
// Every request and every probe in flight listens to it.
setMaxListeners(0, controller.signal);
let signals = 0;
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.on(name, () => {
    signals += 1;
    controller.abort(new Error(`stopped by ${name}`));
    // A second Ctrl-C means it: whatever hangs, the journal is on disk.
    if (signals > 1) process.exit(128 + constants.signals[name]);
  });
let unsaid = false;
/** `proxwarden check-and-failover | head -1`: the reader has gone. A log on a full disk: somebody misses what was said. */
function noteFailure(error: NodeJS.ErrnoException | null | undefined): void {
  if (error != null && error.code !== 'EPIPE') unsaid = true;
}
// What is being done goes on in any case.
for (const stream of [process.stdout, process.stderr]) stream.on('error', noteFailure);

/** A terminal that doesn't know UTF-8 gets ASCII; a file or a pipe gets what there is. */
function written(stream: NodeJS.WriteStream, text: string): string {
  return stream.isTTY && !isUtf8(process.env) ? toAscii(text) : text;
}

void main(process.argv.slice(2), COMMANDS, {
  runtime: systemRuntime(),
  io: {
    out: (text) => void process.stdout.write(`${written(process.stdout, text)}\n`),
    err: (text) => void process.stderr.write(`${written(process.stderr, text)}\n`),
    tty: process.stdout.isTTY && process.stderr.isTTY,
    // 0: a terminal that does not know its width. A file or a pipe has none: nothing is cut there.
    ascii: process.stdout.isTTY && !isUtf8(process.env),
    get columns() {
      return process.stdout.isTTY ? process.stdout.columns || 160 : 1000;
    },
  },
  signal: controller.signal,
  cwd: process.cwd(),
}).then(end);

/** Not after an `await` above, since the bundle is CommonJS (build.mjs). */
function end(code: ExitCode): void {
  process.exitCode = code;
  // A name look-up or a connection that is still under way can't be cancelled, and would hold the process for seconds.
  process.stdout.write('', (outError) =>
    process.stderr.write('', (errError) => {
      noteFailure(outError);
      noteFailure(errError);
      if (unsaid && process.exitCode === EXIT.ok) process.exitCode = EXIT.failed;
      process.exit();
    }),
  );
}
