import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmod, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { InputError, LockedError } from '../../lib/errors.ts';
import { labCertificate } from '../../lib/lab/certificate.ts';
import {
  claimRunFile,
  labToken,
  makeLabFolder,
  readRunFile,
  refuseSecondLab,
  releaseRunFile,
  type RunFile,
} from '../../lib/lab/runfile.ts';
import { freePort, occupy, temporaryFolder } from './sockets.ts';

const DAY_MS = 86_400_000;
/** Larger than any pid that Linux deals out. */
const NOBODY = 2 ** 22 + 1;

function run(port: number, change: Partial<RunFile> = {}): RunFile {
  return {
    pid: process.pid,
    control: `http://127.0.0.1:${port}`,
    token: 'first',
    ports: { pve1: 1 },
    startedAt: 0,
    ...change,
  };
}

async function mode(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

test('the folder and all that is in it are for their owner only, whatever was there before', async (t) => {
  const dir = await temporaryFolder(t);
  const folder = await makeLabFolder(dir);
  await chmod(folder, 0o755);
  await makeLabFolder(dir);
  assert.equal(await mode(folder), '700');
  await labToken(folder, 'a@pve!b');
  await labCertificate(folder, Date.now());
  await claimRunFile(dir, run(await occupy(t)));
  const names = await readdir(folder);
  assert.deepEqual(names.toSorted(), ['ca.pem', 'key.pem', 'run.json', 'token']);
  for (const name of names) assert.equal(await mode(join(folder, name)), '600', name);
});

test('an inventory folder that does not exist is an input error', async (t) => {
  const dir = await temporaryFolder(t);
  await assert.rejects(makeLabFolder(join(dir, 'nothing')), {
    name: 'InputError',
    message: `the inventory folder ${join(dir, 'nothing')} does not exist`,
  });
  await writeFile(join(dir, 'file'), '');
  await assert.rejects(makeLabFolder(join(dir, 'file')), InputError);
});

test('a second lab is refused while the first one runs', async (t) => {
  const dir = await temporaryFolder(t);
  await makeLabFolder(dir);
  const first = run(await occupy(t));
  assert.equal(await readRunFile(dir), null);
  await claimRunFile(dir, first);
  assert.deepEqual(await readRunFile(dir), first);
  await assert.rejects(refuseSecondLab(dir), LockedError);
  await assert.rejects(claimRunFile(dir, { ...first, token: 'second' }), (error) => {
    assert.ok(error instanceof LockedError);
    assert.match(error.message, new RegExp(`already \\(process ${process.pid}\\)`));
    return true;
  });
  assert.deepEqual(await readRunFile(dir), first);
});

test('the run file of a process that is gone is replaced', async (t) => {
  const dir = await temporaryFolder(t);
  await makeLabFolder(dir);
  const port = await occupy(t);
  await claimRunFile(dir, run(port, { pid: NOBODY }));
  assert.equal(await readRunFile(dir), null);
  const next = run(port, { token: 'next' });
  await claimRunFile(dir, next);
  assert.deepEqual(await readRunFile(dir), next);
});

test("so is one whose pid is somebody else's by now: nobody listens where it says", async (t) => {
  const dir = await temporaryFolder(t);
  await makeLabFolder(dir);
  await claimRunFile(dir, run(await freePort()));
  assert.equal(await readRunFile(dir), null);
  await refuseSecondLab(dir);
});

test('only the lab that made the run file removes it', async (t) => {
  const dir = await temporaryFolder(t);
  await makeLabFolder(dir);
  const port = await occupy(t);
  await claimRunFile(dir, run(port));
  await releaseRunFile(dir, 'another');
  assert.notEqual(await readRunFile(dir), null);
  await releaseRunFile(dir, 'first');
  assert.equal(await readRunFile(dir), null);
  assert.deepEqual(await readdir(join(dir, '.lab')), []);
  await releaseRunFile(dir, 'first');
});

test('a file that is no run file is never taken for one, nor overwritten', async (t) => {
  const dir = await temporaryFolder(t);
  const path = join(await makeLabFolder(dir), 'run.json');
  for (const text of ['', '{"pid":1}', 'null']) {
    await writeFile(path, text);
    await assert.rejects(readRunFile(dir), /is not the run file of a lab/);
    await assert.rejects(claimRunFile(dir, run(1)), InputError);
    assert.equal(await readFile(path, 'utf8'), text);
  }
});

test('the API token is made once, and again when it is for another id', async (t) => {
  const folder = await makeLabFolder(await temporaryFolder(t));
  const secret = await labToken(folder, 'proxwarden@pve!lab');
  assert.match(secret, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(await readFile(join(folder, 'token'), 'utf8'), `proxwarden@pve!lab=${secret}\n`);
  assert.equal(await labToken(folder, 'proxwarden@pve!lab'), secret);
  assert.notEqual(await labToken(folder, 'proxwarden@pve!other'), secret);
});

test('the certificate is kept, and made anew when it runs out or does not fit its key', async (t) => {
  const folder = await makeLabFolder(await temporaryFolder(t));
  const now = Date.now();
  const first = await labCertificate(folder, now);
  const certificate = new X509Certificate(first.cert);
  assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1');
  assert.ok(Date.parse(certificate.validFrom) < now);
  assert.deepEqual(await labCertificate(folder, now), first);
  const renewed = await labCertificate(folder, now + 701 * DAY_MS);
  assert.notEqual(renewed.cert, first.cert);
  await writeFile(join(folder, 'key.pem'), first.key);
  const mended = await labCertificate(folder, now);
  assert.notEqual(mended.cert, renewed.cert);
  await writeFile(join(folder, 'ca.pem'), 'not a certificate');
  assert.notEqual((await labCertificate(folder, now)).cert, mended.cert);
});
