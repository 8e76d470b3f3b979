import assert from 'node:assert/strict';
import { test } from 'node:test';
import { main } from '../../lib/cli/main.ts';
import { withoutCommands } from '../../lib/tell/actions.ts';
import type { Event } from '../../lib/tell/events.ts';
import { createTeller } from '../../lib/tell/teller.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { NOW } from '../decide/parts.ts';
import { EVENTS } from './events.ts';

/** What a job's log gets, without the times. */
async function log(events: readonly Event[], json = false): Promise<string[]> {
  const lines: string[] = [];
  const teller = createTeller({
    io: {
      err: (text) => void lines.push(json ? text : text.slice(20)),
      workflow: (line) => void lines.push(line),
      tty: false,
      columns: 1000,
    },
    clock: { now: () => NOW, sleep: () => Promise.resolve() },
    level: 'info',
    json,
    steps: true,
  });
  for (const event of events) teller.tell(event);
  await teller.end();
  return lines;
}

const other = <E extends { operation: string; container: string }>(event: E): E => ({
  ...event,
  operation: 'op-2',
  container: 'web',
});

test('the lines of an operation are a group, and two that run at the same time take turns', async () => {
  assert.deepEqual(
    await log([
      EVENTS['operation-started'],
      other(EVENTS['operation-started']),
      EVENTS['step-done'],
      { ...EVENTS['operation-ended'], status: 'done', text: 'it runs' },
      other(EVENTS['step-done']),
    ]),
    [
      '::group::dns: op-1',
      'dns: op-1 started: move it',
      '::endgroup::',
      '::group::web: op-2',
      'web: op-2 started: move it',
      '::endgroup::',
      '::group::dns: op-1, continued',
      'dns: restore: restored',
      '::endgroup::',
      'dns: op-1 done: it runs',
      '::notice title=dns::dns: op-1 done: it runs',
      '::group::web: op-2, continued',
      'web: restore: restored',
      '::endgroup::',
    ],
  );
});

test('what needs somebody is an annotation, and nothing else is', async () => {
  const commands = async (event: Event): Promise<string[]> =>
    (await log([event]))
      .filter((line) => /^::(?:error|warning|notice)/.test(line))
      .map((line) => line.split('::')[1] ?? '');
  const found: Record<string, string> = {};
  for (const [kind, event] of Object.entries(EVENTS)) found[kind] = (await commands(event)).join();
  assert.deepEqual(Object.fromEntries(Object.entries(found).filter(([, commanded]) => commanded !== '')), {
    note: 'warning title=dns',
    availability: 'error title=dns is down',
    'step-failed': 'warning title=dns%3A restore failed',
    'operation-ended': 'error title=dns',
    reconciled: 'notice title=dns',
  });
});

test('a stranger’s words are no command: neither in an annotation nor in a line', async () => {
  const lines = await log([{ ...EVENTS.note, text: '100 %\r\n::error::done, it: fine' }]);
  assert.equal(lines.at(-1), '::warning title=dns::100 %25%0D%0A::error::done, it: fine');
  assert.equal(
    withoutCommands('a\n::error::x\n  ::add-mask::y ##[group]z'),
    'a\n: :error::x\n  : :add-mask::y ## [group]z',
  );
});

test('with --json there are events and nothing else', async () => {
  for (const line of await log([EVENTS['operation-started'], EVENTS['step-failed']], true)) JSON.parse(line);
});

test('the commands themselves: only where GITHUB_ACTIONS says so, and of what is printed nothing is taken for one', async () => {
  const ran = async (env: Record<string, string>): Promise<string> => {
    let text = '';
    const write = (line: string): void => void (text += `${line}\n`);
    const runtime = systemRuntime({ PATH: process.env['PATH'], ...env });
    const { signal } = new AbortController();
    const io = { out: write, err: write, tty: false, columns: 100 };
    await main(['validate', '--inventory', '/nowhere/::x'], COMMANDS, { runtime, io, signal, cwd: '/' });
    return text;
  };
  assert.doesNotMatch(await ran({}), /^::/m);
  assert.match(
    await ran({ GITHUB_ACTIONS: 'true' }),
    /^::error title=proxwarden validate::.*\/nowhere\/::x/m,
  );
});
