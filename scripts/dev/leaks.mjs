// Loaded before anything else into every process of a test run (--import), and into every command that the end-to-end
// tests start (NODE_OPTIONS): looks for the secrets of tests in whatever these print, write to files, or hand to other
// programs. What it finds goes to $PROXWARDEN_LEAKS, and test.mjs fails for it. Every secret of a test holds a mark
// (test/secrets.ts), and so does every ticket that the lab gives out.
import childProcess from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

const MARKS = ['5ec2e75ec2e7', 'LabTicket'];
/** Files that are there to hold a secret: `token`, `home.password`, and `token.4711`, which is renamed to it. */
const KEPT_IN = /^(.+\.)?(token|password|secret)(\.\d+)?$/;
/** So much of what was written before is looked at with what comes next: a secret may come in two pieces. */
const OVERLAP = 64;

/** A mark as it is, and in base64 at each of the three places where it can begin; neither changes in URLs or JSON. */
const forms = MARKS.flatMap((mark) => [
  mark,
  ...[0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), Buffer.from(mark)]).toString('base64');
    return text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + mark.length) * 8) / 6));
  }),
]);
const report = process.env['PROXWARDEN_LEAKS'];
const isCommand = basename(process.argv[1] ?? '') === 'proxwarden.js';
// As they are before they are watched.
const { closeSync, openSync, readlinkSync, writeSync } = fs;

function textOf(data) {
  if (typeof data === 'string') return data;
  return ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1')
    : '';
}

function holds(text) {
  return forms.some((form) => text.includes(form));
}

/** Notes a leak, and what was around it but for the secret: what this says ends up in the log of a test run. */
function found(where, text) {
  const at = Math.min(...forms.map((form) => text.indexOf(form)).filter((index) => index >= 0));
  const around = text
    .slice(Math.max(0, at - 160), Math.max(0, at - 40))
    .split('\n')
    .at(-1);
  const line = `${where}: ${JSON.stringify(`${around}…`)} (${process.argv.slice(1, 4).join(' ')})`;
  const file = openSync(report, 'a');
  writeSync(file, `${forms.reduce((clean, form) => clean.replaceAll(form, '***'), line)}\n`);
  closeSync(file);
}

const tails = new Map();

function look(where, data) {
  const text = (tails.get(where) ?? '') + textOf(data);
  tails.set(where, text.slice(-OVERLAP));
  if (!holds(text)) return;
  tails.delete(where);
  found(where, text);
}

function lookAtFile(file, data) {
  if (!holds(textOf(data))) return;
  const path = typeof file === 'number' ? pathOf(file) : String(file);
  if (!KEPT_IN.test(basename(path))) found(`file ${path}`, textOf(data));
}

function pathOf(descriptor) {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return `descriptor ${descriptor}`;
  }
}

/** Arguments never hold a secret; an environment only that of the command itself, which reads `env:NAME` there. */
function lookAtChild(file, args, options) {
  for (const word of [file, ...(Array.isArray(args) ? args : [])])
    if (holds(String(word))) found(`argument of ${basename(String(file))}`, String(word));
  const env = (Array.isArray(args) ? options : args)?.env ?? {};
  if (isCommand && String(file) !== process.execPath)
    for (const [name, value] of Object.entries(env))
      if (holds(String(value))) found(`environment of ${basename(String(file))}`, `${name}=${value}`);
}

function before(object, name, watch) {
  const original = object[name];
  object[name] = function watched(...args) {
    watch(...args);
    return original.apply(this, args);
  };
}

if (report !== undefined) {
  before(process.stdout, 'write', (data) => look('stdout', data));
  before(process.stderr, 'write', (data) => look('stderr', data));
  for (const name of ['writeFileSync', 'appendFileSync', 'writeFile', 'appendFile', 'writeSync', 'write'])
    before(fs, name, lookAtFile);
  for (const name of ['writeFile', 'appendFile']) before(fs.promises, name, lookAtFile);
  for (const name of ['spawn', 'spawnSync', 'execFile', 'execFileSync'])
    before(childProcess, name, lookAtChild);
  syncBuiltinESMExports();
}
