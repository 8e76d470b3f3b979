/** `doctor` as a process: its exit codes, its JSON, and that it leaves the world alone. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { openInside } from './in-process.ts';
import { told } from './stage.ts';

const Report = z.object({
  counts: z.object({ fail: z.number(), warn: z.number(), note: z.number() }),
  findings: z.array(z.object({ id: z.string(), level: z.string(), name: z.string(), text: z.string() })),
  subjects: z.array(z.object({ kind: z.string(), name: z.string(), level: z.string() })),
  consequences: z.array(
    z.object({ container: z.string(), event: z.string(), outcome: z.string(), text: z.string() }),
  ),
});

test('doctor on the example, and with what goes wrong on a runner', async (t) => {
  const stage = await openInside(t);
  const before = JSON.stringify(stage.lab.status().containers);

  const ran = await stage.run('doctor', '--json');
  assert.equal(ran.code, 3, told(ran));
  const report = Report.parse(JSON.parse(ran.stdout));
  // The example's services are all on 127.0.0.1, and its containers say they are elsewhere.
  assert.deepEqual(
    report.findings
      // Where temporary files are kept is the machine's business.
      .filter((f) => f.level !== 'note' && f.id !== 'state-volatile')
      .map((f) => `${f.id} ${f.name}`),
    ['check-elsewhere dns', 'check-elsewhere db', 'check-elsewhere web'],
    told(ran),
  );
  const dies = report.consequences.filter((c) => c.event === 'node-dies');
  assert.deepEqual(
    dies.map((c) => `${c.container} ${c.outcome}`),
    ['dns automatic', 'web automatic', 'db automatic'],
  );
  assert.match(
    dies[0]?.text ?? '',
    /pve1 is powered off, the backup of 4 h( 1 min)? ago is restored on pve2/,
  );
  // Certificates were really read.
  assert.equal(report.subjects.filter((s) => s.kind === 'endpoint' && s.level === 'ok').length, 3);

  const text = await stage.run('doctor', 'dns');
  assert.equal(text.code, 3, told(text));
  assert.match(text.stdout, /WARN {2}check-elsewhere: container dns in home/);
  assert.doesNotMatch(text.stdout, /\bweb\b/);

  const token = join(stage.dir, '.lab', 'token');
  chmodSync(token, 0o644);
  const open = await stage.run('doctor');
  chmodSync(token, 0o600);
  assert.equal(open.code, 1, told(open));
  assert.match(open.stdout, /FAIL {2}credential-unusable: [^]*can be read by others[^]*chmod 600/);

  writeFileSync(token, 'proxwarden@pve!lab=11111111-2222-3333-4444-555555555555\n');
  const refused = await stage.run('doctor');
  assert.equal(refused.code, 1, told(refused));
  assert.match(refused.stdout, /FAIL {2}token-refused: credential proxwarden@pve!lab/);

  const none = await stage.run('doctor', 'nosuch');
  assert.equal(none.code, 2, told(none));

  assert.equal(JSON.stringify(stage.lab.status().containers), before);
  assert.equal(existsSync(join(stage.state, 'state.json')), false);
});
