/** Debian's Chromium without a screen, driven over its own protocol. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'undici';
import * as z from 'zod';

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Where it is; undefined: it is not installed. */
export const CHROMIUM = PATHS.find((path) => existsSync(path));

const Message = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string() }).optional(),
});

export interface Browser {
  /** Asks its one page; resolves to the result. */
  send(method: string, params?: object): Promise<unknown>;
  /** What an expression in the page comes to, which must be JSON. */
  evaluate(expression: string): Promise<unknown>;
  /** Resolves when an event comes that has not come yet. */
  next(event: string): Promise<void>;
  /** All events so far, `method` and `params`. */
  readonly events: { readonly method: string; readonly params: unknown }[];
}

/** Opens an empty page; all is gone when the test has ended. */
export async function openBrowser(t: { after(end: () => Promise<void>): void }): Promise<Browser> {
  const home = mkdtempSync(join(tmpdir(), 'proxwarden-chromium-'));
  const child = spawn(
    CHROMIUM ?? '',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-extensions',
      '--disable-background-networking',
      '--hide-scrollbars',
      '--remote-debugging-port=0',
      `--user-data-dir=${home}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  );
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  t.after(async () => {
    // It has processes of its own, which write into its folder to the last.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    await gone;
    await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  });
  const port = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const found = /DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)\//.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`chromium has ended: ${text.slice(0, 500)}`)));
  });
  const pages = z
    .array(z.object({ type: z.string(), webSocketDebuggerUrl: z.string() }))
    .parse(await (await fetch(`http://127.0.0.1:${port}/json/list`)).json());
  return connect(t, pages.find((page) => page.type === 'page')?.webSocketDebuggerUrl ?? '');
}

async function connect(t: { after(end: () => Promise<void>): void }, url: string): Promise<Browser> {
  const socket = new WebSocket(url);
  t.after(() => Promise.resolve(socket.close()));
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error(`no page at ${url}`)), { once: true });
  });
  const events: { method: string; params: unknown }[] = [];
  const waiting = new Map<number, (message: z.infer<typeof Message>) => void>();
  const awaited = new Map<string, () => void>();
  socket.addEventListener('message', ({ data }) => {
    const message = Message.parse(JSON.parse(String(data)));
    if (message.id !== undefined) waiting.get(message.id)?.(message);
    if (message.method === undefined) return;
    events.push({ method: message.method, params: message.params });
    awaited.get(message.method)?.();
  });
  let last = 0;
  const send = async (method: string, params: object = {}): Promise<unknown> => {
    const id = (last += 1);
    const answer = new Promise<z.infer<typeof Message>>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    const { error, result } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  return {
    send,
    events,
    next: (event) => new Promise((resolve) => awaited.set(event, resolve)),
    async evaluate(expression) {
      const { result, exceptionDetails } = z
        .object({
          result: z.object({ value: z.unknown().optional() }),
          exceptionDetails: z.unknown().optional(),
        })
        .parse(await send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true }));
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
      return result.value;
    },
  };
}
