/** The check for leaked secrets (scripts/dev/leaks.mjs) finds them wherever they go, and fails the run. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { COMMAND } from '../e2e/stage.ts';
import { tempFolder } from '../observe/probe-helpers.ts';
import { password, tokenSecret } from '../secrets.ts';

const WATCH = pathToFileURL(resolve('scripts/dev/leaks.mjs')).href;
/** Not as it is, since what an assertion prints is looked through, too. */
const MARK = /(5ec2e7){2}/;
/** In pieces here, since this very process is watched, too. */
const SETUP = `
  import fs from 'node:fs';
  import { appendFile, writeFile } from 'node:fs/promises';
  import { spawnSync } from 'node:child_process';
  const secret = 'x' + ['5ec2e7', '5ec2e7'].join('') + 'y';
  const ticket = 'PVE:a@pve:00::Lab' + 'Ticket' + 'abc==';
  const base64 = Buffer.from('admin:' + secret).toString('base64');
`;

/** What a process that runs `code` is reported for. */
function reported(t: TestContext, code: string, file = 'code.mjs'): string[] {
  const dir = tempFolder(t);
  const report = join(dir, 'leaks');
  const path = join(dir, file);
  writeFileSync(path, SETUP + code);
  const ran = spawnSync(process.execPath, ['--import', WATCH, path], {
    cwd: dir,
    env: { PATH: process.env['PATH'], PROXWARDEN_LEAKS: report },
    encoding: 'utf8',
  });
  assert.equal(ran.status, 0, ran.stderr);
  const lines = existsSync(report) ? readFileSync(report, 'utf8').split('\n').filter(Boolean) : [];
  assert.ok(!lines.some((line) => MARK.test(line)), 'the report itself leaks');
  return [...new Set(lines.map((line) => line.slice(0, line.indexOf(':')).replace(`${dir}/`, '')))];
}

const PRINTED: readonly (readonly [what: string, code: string])[] = [
  ['as it is', 'print(secret)'],
  ['a ticket', 'print("no: " + ticket)'],
  ['base64, as in a header', 'print("Basic " + base64)'],
  ['escaped for a URL', 'print("?p=" + encodeURIComponent(secret))'],
  ['in two pieces', 'print(secret.slice(0, 7)); print(secret.slice(7))'],
  ['as bytes', 'print(Buffer.from(secret))'],
];

test('found: whatever is printed, in any of its forms', (t) => {
  // What is told of a stream is told once for each leak: the process prints them one by one, with a name between.
  const code = PRINTED.map(
    ([what, one]) => `print(${JSON.stringify(`${'-'.repeat(80)}${what} `)});\n${one};`,
  );
  const dir = tempFolder(t);
  writeFileSync(
    join(dir, 'code.mjs'),
    `${SETUP}const print = (text) => process.stdout.write(text);\n${code.join('\n')}`,
  );
  const report = join(dir, 'leaks');
  spawnSync(process.execPath, ['--import', WATCH, join(dir, 'code.mjs')], {
    env: { PATH: process.env['PATH'], PROXWARDEN_LEAKS: report },
  });
  const lines = readFileSync(report, 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, PRINTED.length, lines.join('\n'));
});

test('found: files, however they are written, and arguments of programs', (t) => {
  const found = reported(
    t,
    `
    console.error(secret);
    fs.writeFileSync('written.json', secret);
    fs.appendFileSync('appended.ndjson', secret);
    fs.writeSync(fs.openSync('open.json', 'w'), Buffer.from(secret));
    await writeFile('promised.json', secret);
    await appendFile('promised.ndjson', secret);
    spawnSync('true', ['--password', secret]);
    `,
  );
  assert.deepEqual(found, [
    'stderr',
    'file written.json',
    'file appended.ndjson',
    'file open.json',
    'file promised.json',
    'file promised.ndjson',
    'argument of true',
  ]);
});

test('found: the environment of a command’s child; not that of the command itself', (t) => {
  const code = 'spawnSync("true", [], { env: { PATH: process.env.PATH, P: secret } })';
  assert.deepEqual(reported(t, code, 'proxwarden.js'), ['environment of true']);
  assert.deepEqual(reported(t, code), []);
});

test('found: what a command prints that was started as the end-to-end tests start it', (t) => {
  const options = `{ env: { ...process.env, NODE_OPTIONS: '--import ${WATCH}' } }`;
  const code = `spawnSync(process.execPath, [${JSON.stringify(COMMAND)}, secret], ${options});`;
  assert.deepEqual(reported(t, code), ['argument of node', 'stderr']);
});

test('not found: what holds no secret, and files that are there for one', (t) => {
  assert.deepEqual(
    reported(
      t,
      `console.log('fine 5ec2e7'); fs.writeFileSync('home.token', secret); await writeFile('token.4711', ticket);`,
    ),
    [],
  );
});

test('the secrets of tests hold the mark', (t) => {
  const code = [password(), tokenSecret(7)].map((secret, index) => {
    const pieces = [secret.slice(0, -6), secret.slice(-6)].map((piece) => JSON.stringify(piece));
    return `fs.writeFileSync('${index}', ${pieces.join(' + ')});`;
  });
  assert.deepEqual(reported(t, code.join('\n')), ['file 0', 'file 1']);
});

test('a leak fails the run of all tests, though each of them passes', () => {
  const run = (env: Record<string, string>): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, ['scripts/dev/test.mjs', 'dev/leaky'], {
      env: { PATH: process.env['PATH'], PROXWARDEN_SKIP_BUILD: '1', ...env },
      encoding: 'utf8',
    });
  assert.equal(run({}).status, 0);
  const { status, stderr } = run({ LEAKY: '1' });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /^secrets of tests have leaked:\n {2}stdout: /m);
});
