import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { NO_PROGRESS, readProgress } from '../../lib/pve/progress.ts';

const DIR = join('..', 'shared', 'pve', 'recordings');
const Entry = z.looseObject({
  request: z.looseObject({ path: z.string() }).optional(),
  body: z.looseObject({ data: z.unknown() }).optional().catch(undefined),
});
const Lines = z.array(z.looseObject({ t: z.string() }));

const read = (...lines: string[]) => readProgress(NO_PROGRESS, lines);

test('the phases of a vzdump and of a restore', () => {
  assert.equal(read('INFO: starting first sync /proc/1/root/ to /x.tmp').phase, 'first sync');
  assert.equal(read("INFO: creating vzdump archive '/x.tar.zst'").phase, 'writing the archive');
  assert.equal(read("restoring 'nas:x' now..", "extracting archive '/x.tar.zst'").phase, 'extracting');
});

test('waiting for another backup is no progress, until it is its turn', () => {
  const waiting = read('INFO: trying to get global lock - waiting...');
  assert.deepEqual([waiting.waiting, waiting.phase], [true, 'waiting for another backup on the node']);
  assert.equal(readProgress(waiting, ['INFO: got global lock']).waiting, false);
});

test('shares and bytes, where a log gives them', () => {
  assert.equal(
    read('INFO:   0% (32.0 MiB of 8.0 GiB) in 3s', 'INFO:  45% (3.6 GiB of 8.0 GiB) in 12s').percent,
    45,
  );
  assert.equal(read('progress 7% (read 1 bytes, zeroes = 0% (0 bytes), duration 1 sec)').percent, 7);
  assert.equal(read('INFO: processed 1.5 GiB in 1m, uploaded 200 MiB').bytes, 1.5 * 2 ** 30);
  assert.equal(read('INFO: Finished Backup of VM 101 (00:00:04)').percent, null);
});

test('every recorded log of a vzdump or a restore of a container: phases, and never a share', (t) => {
  if (!existsSync(DIR)) return t.skip(`${DIR} is not here`);
  const phases = new Map<string, number>();
  for (const file of readdirSync(DIR).filter((name) => name.endsWith('.json')))
    for (const { request, body } of z.array(Entry).parse(JSON.parse(readFileSync(join(DIR, file), 'utf8')))) {
      const type = /tasks\/UPID.*%3A(vzdump|vzrestore)%3A.*\/log$/.exec(request?.path ?? '')?.[1];
      const lines = Lines.safeParse(body?.data);
      if (type === undefined || !lines.success) continue;
      const said = read(...lines.data.map((line) => line.t));
      assert.deepEqual([said.percent, said.bytes], [null, null]);
      if (lines.data.at(-1)?.t === 'TASK OK') assert.notEqual(said.phase, null, JSON.stringify(lines.data));
      phases.set(`${type}: ${said.phase}`, (phases.get(`${type}: ${said.phase}`) ?? 0) + 1);
    }
  t.diagnostic([...phases].map(([phase, n]) => `${n} × ${phase}`).join('; '));
  assert.ok(phases.size >= 4);
});
