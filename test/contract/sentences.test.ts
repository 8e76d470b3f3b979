/**
 * Every error text of the recordings, of calls and of tasks, and the sentence that a person gets for it:
 * sentences.txt, to be read line by line when it changes (`RECORD=1 npm test -- sentences`).
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import * as z from 'zod';
import { PveError } from '../../lib/errors.ts';
import { RequestError } from '../../lib/pve/failure.ts';
import { waitForTask } from '../../lib/pve/task.ts';
import { client, jumpingClock, refuse, serve } from '../pve/harness.ts';
import { count } from './count.ts';
import { replies, SKIP_WITHOUT, type Reply } from './recordings.ts';

const FILE = 'test/contract/sentences.txt';
const UPID = 'UPID:pve1:0000022B:00043D51:6B034DAF:vzstart:101:proxwarden@pve!cli:';
const Log = z.object({ data: z.array(z.looseObject({ t: z.string().default('') })) });
const Refusal = z.object({ errors: z.record(z.string(), z.string()) });
const Ended = z.object({ data: z.looseObject({ exitstatus: z.string() }) });

/** One of each kind: vmids and process numbers make no difference. */
function distinct<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item).replaceAll(/\d{3,}/g, 'N'), item])).values()];
}

async function sentenceOf(reply: Reply): Promise<string> {
  const server = await serve((_, response) =>
    refuse(response, reply.status, reply.statusText, reply.body === '' ? undefined : reply.body),
  );
  const api = client([server.endpoint]);
  try {
    await api.start('pve1', 101);
    throw new Error('it succeeded');
  } catch (error) {
    assert(error instanceof RequestError, String(error));
    assert(!/\n|undefined|\$\d/.test(error.message), error.message);
    return `${error.message}${error.hint === undefined ? '' : `\n    → ${error.hint}`}`.replaceAll(
      server.endpoint,
      'https://pve1:8006',
    );
  } finally {
    await api.close();
    await server.close();
  }
}

async function sentenceOfTask(log: readonly string[], exitstatus: string): Promise<string> {
  const api: Parameters<typeof waitForTask>[0] = {
    taskStatus: (upid) => Promise.resolve({ upid, node: 'pve1', running: false, exitstatus }),
    taskLog: () => Promise.resolve([...log]),
  };
  try {
    await waitForTask(api, UPID, { clock: jumpingClock(), limitMs: 1000 });
    return 'done';
  } catch (error) {
    assert(error instanceof PveError, String(error));
    assert.doesNotMatch(error.message, /: (exit status \d+|job errors)$/);
    return error.message;
  }
}

test('every recorded error text is one sentence that says what to do', SKIP_WITHOUT, async (t) => {
  const all = replies();
  const errors = distinct(
    all.filter(({ status }) => status >= 400),
    ({ status, statusText, body }) =>
      `${status} ${statusText} ${JSON.stringify(Refusal.safeParse(body).data)}`,
  );
  const tasks = distinct(
    all.flatMap(({ where, body }) => {
      const log = where.endsWith('/log') ? Log.safeParse(body).data?.data.map((line) => line.t) : undefined;
      const task = where.replace(/\/log$/, '');
      const end = all.find((reply) => reply.where === `${task}/status-final`);
      const exitstatus = Ended.safeParse(end?.body).data?.data.exitstatus;
      return log === undefined || exitstatus === undefined || exitstatus === 'OK'
        ? []
        : [{ log, exitstatus }];
    }),
    ({ log, exitstatus }) => `${exitstatus} ${log.filter((line) => /ERROR|WARN/.test(line)).join()}`,
  );
  const lines: string[] = [];
  for (const reply of errors.toSorted(
    (a, b) => a.status - b.status || (a.statusText < b.statusText ? -1 : 1),
  ))
    lines.push(`${reply.status} ${reply.statusText}`, `    ${await sentenceOf(reply)}`, '');
  for (const { log, exitstatus } of tasks)
    lines.push(`task: ${exitstatus}`, `    ${await sentenceOfTask(log, exitstatus)}`, '');
  const text = `${lines.join('\n').replaceAll('http://127.0.0.1', 'https://pve1')}\n`;
  if (process.env['RECORD'] === '1') writeFileSync(FILE, text);
  assert.equal(text, readFileSync(FILE, 'utf8'));
  count(t, `${errors.length} different errors and ${tasks.length} failed tasks, each with its sentence`);
  assert(errors.length > 70 && tasks.length > 15);
});
