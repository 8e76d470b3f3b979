/** The bundle's code cache: used where it fits, and never where it does not (V8 itself would run a damaged one). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { scratchFolder } from '../scratch.ts';

/** How many of the caches were taken, of those that there are for what `--version` loads. */
function loaded(dist: string): { version: string; taken: number; scripts: number } {
  const script = `
    const { load, scripts } = require(${JSON.stringify(join(dist, 'proxwarden.js'))});
    process.argv = [process.argv[0], 'proxwarden', '--version'];
    process.on('exit', () => {
      const all = [...scripts.values()].map(({ script }) => script.cachedDataRejected);
      console.log(JSON.stringify({ taken: all.filter((r) => r === false).length, scripts: all.length }));
    });
    load('./main.js');`;
  const run = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const [version = '', counts = ''] = run.stdout.trim().split('\n');
  const parsed: unknown = JSON.parse(counts);
  assert.ok(typeof parsed === 'object' && parsed !== null && 'taken' in parsed && 'scripts' in parsed);
  return { version, taken: Number(parsed.taken), scripts: Number(parsed.scripts) };
}

function copyOfDist(t: TestContext): string {
  const folder = scratchFolder('loader');
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const dist = join(folder, 'dist');
  cpSync('dist', dist, { recursive: true });
  return dist;
}

function eachCache(dist: string, change: (bytes: Buffer) => Buffer): void {
  for (const name of readdirSync(dist).filter((each) => each.endsWith('.cache'))) {
    const bytes = readFileSync(join(dist, name));
    // The lab's, which no start loads, holds the mark of its tickets (leaks.mjs would find it being written).
    if (!bytes.includes('LabTicket')) writeFileSync(join(dist, name), change(bytes));
  }
}

test('every chunk that a run loads comes with its cache', (t) => {
  const { version, taken, scripts } = loaded(copyOfDist(t));
  assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.ok(scripts > 5);
  assert.equal(taken, scripts);
});

test('a damaged cache is not used, wherever the damage is', (t) => {
  const dist = copyOfDist(t);
  const whole = loaded(dist);
  for (const place of [0, 0.1, 0.5, 0.9, 1]) {
    eachCache(dist, (bytes) => {
      const damaged = Buffer.from(bytes);
      const at = Math.round((bytes.length - 1) * place);
      damaged[at] = (damaged[at] ?? 0) ^ 0x55;
      return damaged;
    });
    assert.deepEqual(loaded(dist), { ...whole, taken: 0 }, `at ${place}`);
    cpSync('dist', dist, { recursive: true });
  }
  eachCache(dist, (bytes) => bytes.subarray(0, bytes.length / 2));
  assert.deepEqual(loaded(dist), { ...whole, taken: 0 }, 'cut');
  eachCache(dist, () => Buffer.alloc(0));
  assert.deepEqual(loaded(dist), { ...whole, taken: 0 }, 'empty');
});

test('a chunk that was changed is not run as it was, though as long', (t) => {
  const dist = copyOfDist(t);
  const { version } = loaded(dist);
  const other = version.replace(/\d+$/, '7');
  assert.equal(other.length, version.length);
  let changed = 0;
  for (const name of readdirSync(dist).filter((each) => each.endsWith('.js'))) {
    const text = readFileSync(join(dist, name), 'utf8');
    if (!text.includes(`"${version}"`)) continue;
    changed += 1;
    writeFileSync(join(dist, name), text.replaceAll(`"${version}"`, `"${other}"`));
  }
  assert.ok(changed > 0);
  assert.equal(loaded(dist).version, other);
});

test('caches are not needed', (t) => {
  const dist = copyOfDist(t);
  const { version } = loaded(dist);
  for (const name of readdirSync(dist).filter((each) => each.endsWith('.cache'))) rmSync(join(dist, name));
  assert.equal(loaded(dist).version, version);
  renameSync(dist, `${dist}-moved`);
  const run = spawnSync(process.execPath, [join(`${dist}-moved`, 'proxwarden.js'), '--version'], {
    encoding: 'utf8',
  });
  assert.equal(run.stdout.trim(), version);
});

test('chunks are strict, as the modules that they are made of', (t) => {
  const dist = copyOfDist(t);
  writeFileSync(
    join(dist, 'strict.js'),
    'exports.isStrict = (function () { return this === undefined; })();',
  );
  const script = `console.log(require(${JSON.stringify(join(dist, 'proxwarden.js'))}).load('./strict.js').isStrict)`;
  const run = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.equal(run.stdout.trim(), 'true', run.stderr);
});
