/** Inventory folders that make no sense, several files and their hooks together: every problem with its place, or an inventory. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { main } from '../../lib/cli/main.ts';
import { InventoryError, loadInventory } from '../../lib/inventory/load.ts';
import { ResolvedContainer } from '../../lib/inventory/resolved.ts';
import type { Inventory } from '../../lib/inventory/types.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { scratchFolder } from '../scratch.ts';
import { assertClear, assertReadable } from './clear.ts';
import { fuzz, fuzzCounted } from './fuzz.ts';
import { mutatedJson, mutatedLines } from './mutate.ts';

const root = scratchFolder('fuzz-inventory');
after(() => rmSync(root, { recursive: true, force: true }));
const dir = join(root, 'inventory');

const HOME = readFileSync('inventory/example/home.yaml', 'utf8').replace('log-failover.sh', 'notify');
/** More of the same cluster's containers, and another cluster that takes some of them. */
const MORE = `cluster: home
containers:
  mail:
    vmid: 201
    nodes: [pve2, other/pve9]
    failover: { vmids: [1201, 2201], restoreStorageIn: { other: local } }
    checks:
      - exec: { path: hooks/check, args: [-w, '5'] }
      - dns: { server: 10.0.0.53, name: example.org, type: MX }
    hooks: { before: [hooks/notify], after: [{ path: hooks/notify, args: [done], timeout: 30s }] }
`;
const OTHER = `cluster: other
api: { endpoints: ['https://10.0.1.11:8006'], user: proxwarden@pve, password: env:PASSWORD, tls: { insecure: true } }
nodes:
  pve9: { fence: [{ all: [{ shelly: { host: 10.0.1.71, gen: 2 } }, { tasmota: { host: 10.0.1.72 } }] }, { redfish: { url: 'https://10.0.1.81', user: a, password: env:PASSWORD } }] }
keepApart: { names: [dns, mail] }
defaults: { backup: { storage: nas, keep: { last: 3 } }, failover: { restoreStorage: local } }
containers: {}
`;

type Hook = 'program' | 'not executable' | 'missing' | 'a folder' | 'a link outside' | 'a link to itself';
const hook = fc.oneof(
  { weight: 9, arbitrary: fc.constant<Hook>('program') },
  fc.constantFrom<Hook>('not executable', 'missing', 'a folder', 'a link outside', 'a link to itself'),
);
const json = (yaml: string): string => JSON.stringify(parse(yaml));
/** Other numbers, which may well make sense. */
const otherNumbers = (yaml: string): fc.Arbitrary<Buffer> =>
  fc.array(fc.tuple(fc.nat(), fc.nat(300)), { minLength: 1, maxLength: 3 }).map((changes) =>
    Buffer.from(
      changes.reduce((text, [at, number]) => {
        const found = [...text.matchAll(/\d+/g)];
        const one = found[at % found.length];
        return one === undefined
          ? text
          : `${text.slice(0, one.index)}${number}${text.slice(one.index + one[0].length)}`;
      }, yaml),
    ),
  );
/** As a person writes it, and as values of a tree (JSON is YAML). */
const mutated = (yaml: string): fc.Arbitrary<Buffer> =>
  fc.oneof(mutatedLines([yaml]), mutatedJson([json(yaml)]), otherNumbers(yaml));
const FILES = [
  ['home.yaml', HOME],
  ['more.yaml', MORE],
  ['other.yaml', OTHER],
] as const;
/** One file that makes no sense, and now and then several: else hardly any folder would be read to its end. */
const folder = fc
  .record({
    which: fc.nat(FILES.length - 1),
    all: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
    contents: fc.tuple(...FILES.map(([, yaml]) => mutated(yaml))),
    check: hook,
    notify: hook,
  })
  .map(({ which, all, contents, check, notify }) => ({
    files: FILES.map(([name, yaml], n) => ({ name, content: all || n === which ? contents[n] : yaml })),
    check,
    notify,
  }));

function putHook(name: string, kind: Hook): void {
  const path = join(dir, 'hooks', name);
  if (kind === 'missing') return;
  if (kind === 'a folder') {
    mkdirSync(path);
    return;
  }
  if (kind === 'a link outside') return symlinkSync('/bin/sh', path);
  if (kind === 'a link to itself') return symlinkSync(path, path);
  writeFileSync(path, '#!/bin/sh\n');
  chmodSync(path, kind === 'program' ? 0o755 : 0o644);
}

/** The inventory; undefined: it was refused, with places and fixes. */
function load(): Inventory | undefined {
  try {
    return loadInventory(dir, { env: {} });
  } catch (error) {
    const { message } = assertClear(error, { lines: true });
    assert.ok(error instanceof InventoryError && error.problems.length > 0, message);
    for (const problem of error.problems) {
      assert.ok(problem.message !== '' && problem.fix !== '', JSON.stringify(problem));
      assert.doesNotMatch(problem.message, /\bundefined\b|\[object|Invalid input/);
    }
    return undefined;
  }
}

async function validate(): Promise<number> {
  let said = '';
  const io = {
    out: (text: string) => void (said += `${text}\n`),
    err: (text: string) => void (said += `${text}\n`),
  };
  const code = await main(['validate', '--inventory', dir], COMMANDS, {
    runtime: systemRuntime({}),
    io: { ...io, tty: false, columns: 160 },
    signal: new AbortController().signal,
    cwd: root,
  });
  assertReadable(said, '`validate`');
  return code;
}

let turn = 0;

fuzz('inventory folders', { runs: 60 }, folder, async ({ check, notify, files }) => {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'hooks'), { recursive: true });
  for (const { name, content = '' } of files) writeFileSync(join(dir, name), content);
  writeFileSync(join(dir, '.hidden.yaml'), '\0');
  putHook('check', check);
  putHook('notify', notify);
  const inventory = load();
  for (const container of Object.values(inventory?.containers ?? {}))
    assert.deepEqual(ResolvedContainer.parse(JSON.parse(JSON.stringify(container))), container);
  turn += 1;
  if (turn % 10 === 0) assert.equal(await validate(), inventory === undefined ? 2 : 0);
});

fuzzCounted('inventories');
