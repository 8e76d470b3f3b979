/** Command lines that make no sense: exit 2 and one sentence, or what the command has to say; nothing is begun. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import * as fc from 'fast-check';
import { main } from '../../lib/cli/main.ts';
import { EXIT, InputError } from '../../lib/errors.ts';
import type { Runtime } from '../../lib/runtime.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { container, HEAD } from '../inventory/folder.ts';
import { ODD_TEXTS } from './edits.ts';
import { assertClearProblem, assertReadable } from './clear.ts';
import { fuzz, fuzzCounted } from './fuzz.ts';

const root = mkdtempSync(join(tmpdir(), 'proxwarden-fuzz-cli-'));
after(() => rmSync(root, { recursive: true, force: true }));
mkdirSync(join(root, 'inventory'));
writeFileSync(join(root, 'inventory', 'home.yaml'), `${HEAD}containers:\n${container('dns', 101)}`);

/** These would start a cluster of their own, or ask questions at a terminal. */
const LEFT_OUT = new Set(['demo', 'lab', 'init']);
const names = Object.keys(COMMANDS).filter((name) => !LEFT_OUT.has(name));
const FLAGS =
  `--inventory --state --json --log-level --cluster --dry-run --explain --detach --to --planned --plan --resume
--backup --accept-data-loss --despite-pause --node --for --until --reason --yes --driver --vmid --start --storage --count
--schema --all --keep --help --version --no-json -x --`.split(/\s+/);
const WORDS = [
  'dns',
  'pve1',
  'home/pve1',
  'list',
  'end',
  'confirm',
  'status',
  'off',
  'debug',
  '5m',
  '1h',
  '26h',
  'all',
  '101',
];

const word = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...FLAGS) },
  { weight: 3, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 2, arbitrary: fc.constantFrom(...ODD_TEXTS) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...FLAGS), fc.constantFrom(...ODD_TEXTS, ...WORDS))
      .map(([flag, value]) => `${flag}=${value}`),
  },
  { weight: 1, arbitrary: fc.string() },
);
const line = fc
  .tuple(fc.constantFrom(...names, ...names, ''), fc.array(word, { maxLength: 6 }))
  .map(([name, words]) => (name === '' ? words : [name, ...words]));

/** No network, no programs: whatever a command wants of them fails at once. */
function nowhere(): Runtime {
  const no = () => Promise.reject(new InputError('there is no network in this test'));
  return {
    clock: { now: () => 1_795_000_000_000, sleep: no },
    env: { PROXWARDEN_HOME_TOKEN: '' },
    randomHex: (bytes) => 'ab'.repeat(bytes),
    dispatcher: no,
    httpDispatcher: no,
    probe: no,
    exec: no,
    shell: no,
    mail: no,
    detach: no,
  };
}

fuzz('command lines', { runs: 80 }, line, async (words) => {
  let [out, err] = ['', ''];
  const code = await main(words, COMMANDS, {
    runtime: nowhere(),
    io: {
      out: (text) => void (out += `${text}\n`),
      err: (text) => void (err += `${text}\n`),
      tty: false,
      columns: 160,
    },
    signal: new AbortController().signal,
    cwd: root,
  });
  const said = `exit ${code}: ${out}${err}`;
  assert.ok(Object.values<number>(EXIT).includes(code), said);
  assertReadable(out + err, JSON.stringify(words));
  if (code !== EXIT.ok) assertClearProblem(err);
  if (code === EXIT.usage && out === '') {
    const lines = err
      .trimEnd()
      .split('\n')
      .filter((one) => !one.startsWith('  → ') && !one.startsWith('warning: '));
    assert.match(lines[0] ?? '', /^proxwarden: \S/, said);
    assert.ok(
      lines.every((one) => one.length < 2_000),
      `${Math.max(...lines.map((one) => one.length))} characters`,
    );
  }
});

fuzzCounted('command lines');
