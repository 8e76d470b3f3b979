/** What `report` says and how: the same report as a page, as Markdown and as metrics. `REPORT_DIR=DIR` writes them there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before as first, test } from 'node:test';
import { writeOut } from '../../../lib/cli/out-file.ts';
import { emptyState } from '../../../lib/state/model.ts';
import { html } from '../../../lib/tell/report/html.ts';
import { makeReport, type Report } from '../../../lib/tell/report/model.ts';
import { reportMarkdown } from '../../../lib/tell/report/markdown.ts';
import { reportPage } from '../../../lib/tell/report/page.ts';
import { reportMetrics } from '../../../lib/tell/report/prometheus.ts';
import { scratchFolder } from '../../scratch.ts';
import { sampleInput, sampleReport } from './sample.ts';

let report: Report;
first(async () => {
  report = await sampleReport();
  const dir = process.env['REPORT_DIR'];
  if (dir === undefined) return;
  writeFileSync(join(dir, 'report.html'), reportPage(report));
  writeFileSync(join(dir, 'report.md'), reportMarkdown(report));
  writeFileSync(join(dir, 'report.prom'), reportMetrics(report));
  writeFileSync(join(dir, 'report.json'), JSON.stringify(report, null, 2));
});

const SCRIPT = /<(?:script|img|iframe|link|object|svg[^>]* on)/i;

test('what is in trouble comes first, with its state, place, latency, availability, backup and fate', () => {
  assert.deepEqual(
    report.containers.map((c) => c.container),
    ['git', 'web', 'dns', 'database', 'mail', 'photos', 'vpn'],
  );
  const of = (name: string) => report.containers.find((c) => c.container === name) ?? assert.fail(name);
  assert.deepEqual([of('web').verdict, of('web').latencyMs], ['unhealthy', null]);
  assert.deepEqual([of('database').current?.epoch, of('database').where], [1, 'pve2/1000102@1']);
  assert.deepEqual([of('mail').backup.kind, of('mail').backup.text], ['old', '1 d 16 h old, RPO 1 d']);
  assert.equal(of('dns').backup.kind, 'fresh');
  assert.deepEqual(
    ['dns', 'git', 'vpn', 'photos'].map((name) => of(name).nodeDies?.outcome),
    ['automatic', 'blocked', 'by-hand', undefined],
  );
  const { days, averages } = of('vpn');
  assert.deepEqual(
    [days.length, days.filter((d) => d.figures === null).length, averages.week.runs],
    [30, 21, 7 * 1440],
  );
  assert.ok((of('web').averages.week.p95Ms ?? 0) > (of('web').averages.week.p50Ms ?? 0));
  assert.deepEqual(
    new Set(report.findings.map((f) => f.id)),
    new Set(['fence-missing', 'check-fails', 'backup-old']),
  );
  assert.equal(report.operations[0]?.status, 'running');
});

test('what a reader has to know first: a pause, runs that have ceased, what could not be read', async () => {
  const input = await sampleInput();
  const { state, now } = input;
  const said = makeReport({
    ...input,
    looked: null,
    problems: ['a journal can not be read'],
    state: {
      ...state,
      lastRunAt: now - 3_600_000,
      paused: { since: now, until: null, by: 'anna', reason: 'new switch' },
    },
  });
  assert.match(
    said.notices.join('\n'),
    /^paused by anna.*new switch[\s\S]*the last run was 1 h ago[\s\S]*a journal can not be read$/,
  );
  assert.deepEqual([said.stale, said.looked, said.findings, said.consequences], [true, false, [], []]);
  assert.ok(said.containers.every((c) => c.backup.kind === 'unknown' && c.nodeDies === null));
  for (const text of [reportPage(said), reportMarkdown(said), reportMetrics(said)])
    assert.doesNotMatch(text, /undefined|NaN/);
  assert.match(reportPage(said), /nothing was looked at/);
  assert.doesNotMatch(reportMetrics(said), /backup_usable|failover_outcome|findings/);
  const never = makeReport({
    ...input,
    days: [],
    operations: [],
    state: { ...emptyState() },
    looked: null,
    last: null,
  });
  assert.match(never.notices.join(), /has never run/);
  assert.match(reportPage(never), /no runs yet/);
});

test('one container alone', async () => {
  const { containers, operations } = makeReport({ ...(await sampleInput()), only: new Set(['mail']) });
  assert.deepEqual(
    [containers.map((c) => c.container), operations.map((op) => op.container)],
    [['mail'], ['mail']],
  );
});

test('nobody’s words become markup: not on the page, not in Markdown, not among the metrics', () => {
  const page = reportPage(report);
  assert.doesNotMatch(page, SCRIPT);
  assert.ok(page.includes('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;'));
  assert.ok(!page.includes('\u202e') && !page.includes('\u001b'));
  // Each tag is closed that has to be.
  const open: string[] = [];
  for (const [, end, name = '', , empty] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:\s[^<>]*?)?)(\/?)>/g)) {
    if (empty === '/' || name === 'meta') continue;
    if (end === '/') assert.equal(open.pop(), name);
    else open.push(name);
  }
  assert.deepEqual(open, []);
  const markdown = reportMarkdown(report);
  assert.doesNotMatch(markdown, SCRIPT);
  assert.doesNotMatch(markdown, /(?<![\w&#;])@all/);
  const tables = markdown.split('\n\n').filter((block) => block.startsWith('|'));
  assert.equal(tables.length, 3);
  for (const table of tables) {
    const cells = table.split('\n').map((row) => row.split(/(?<!\\)\|/).length);
    assert.deepEqual(new Set(cells).size, 1, table);
  }
});

test('html: what is put in is escaped, unless it is HTML', () => {
  assert.equal(
    html`<p title="${'"><b>'}">${[1, html`<i>${"'&"}</i>`, null]}</p>`.text,
    '<p title="&quot;&gt;&lt;b&gt;">1<i>&#39;&amp;</i></p>',
  );
});

const PROMTOOL = spawnSync('promtool', ['--version']).status === 0;
const skip = PROMTOOL ? false : 'there is no promtool here (apt install prometheus)';
const RULES = 'inventory/example/prometheus/rules.yml';

test('promtool has nothing to say against the metrics', { skip }, () => {
  const ran = spawnSync('promtool', ['check', 'metrics'], { input: reportMetrics(report), encoding: 'utf8' });
  assert.deepEqual([ran.status, ran.stdout, ran.stderr], [0, '', '']);
});

test('promtool takes the rules', { skip }, () => {
  const ran = spawnSync('promtool', ['check', 'rules', RULES], { encoding: 'utf8' });
  assert.equal(ran.status, 0, ran.stderr);
});

test('every metric has its words once, in one block, and the rules ask only for what there is', () => {
  const lines = reportMetrics(report).trimEnd().split('\n');
  const named = lines.flatMap((line) => /^# HELP (\S+) \S.*\.$/.exec(line)?.[1] ?? []);
  assert.equal(new Set(named).size, named.length);
  let current = '';
  for (const line of lines) {
    current = /^# HELP (\S+)/.exec(line)?.[1] ?? current;
    if (!line.startsWith('#'))
      assert.match(
        line,
        new RegExp(`^${current}(?:\\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\\})? -?[0-9.e+-]+$`),
      );
  }
  const asked = readFileSync(RULES, 'utf8').match(/proxwarden_\w+/g) ?? [];
  assert.ok(asked.length > 8);
  for (const name of asked) assert.ok(named.includes(name), name);
});

test('a file is replaced in one step, can be read by everybody, and is left alone where it can’t be', (t) => {
  const dir = scratchFolder('out');
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'x.prom');
  writeOut(file, 'old');
  const before = statSync(file).ino;
  writeOut(file, 'new');
  assert.deepEqual(
    [readFileSync(file, 'utf8'), statSync(file).mode & 0o777, readdirSync(dir)],
    ['new', 0o644, ['x.prom']],
  );
  assert.notEqual(statSync(file).ino, before);
  assert.throws(
    () => writeOut(join(dir, 'no', 'x'), ''),
    /cannot write .*no\/x: its folder is not there; name another file/,
  );
  mkdirSync(join(dir, 'folder'));
  assert.throws(() => writeOut(join(dir, 'folder'), ''), /it is a folder/);
  assert.deepEqual(readdirSync(dir), ['folder', 'x.prom']);
});
