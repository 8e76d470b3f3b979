/** The inventory as the last run has put it together: the same as a fresh one, or not used. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { InventoryError, loadInventory } from '../../lib/inventory/load.ts';
import { openRemembered, type MemoOptions } from '../../lib/inventory/memo.ts';
import type { Inventory } from '../../lib/inventory/types.ts';
import { folder } from './folder.ts';
import { FULL, HOOKS, LAB } from './full.ts';

interface Kept {
  readonly dir: string;
  readonly file: string;
  /** Adds a warning to what is kept. */
  readonly mark: () => void;
  readonly open: (more?: Partial<MemoOptions> & { readonly keep?: boolean }) => Promise<Inventory>;
}

const MARK = 'kept by the last run';

/** A folder that was opened once, and what was kept of it. */
async function kept(t: TestContext): Promise<Kept> {
  const dir = folder(t, { 'home.yaml': FULL, 'lab.yml': LAB, ...HOOKS });
  const state = folder(t, {});
  chmodSync(state, 0o700);
  const file = join(state, 'inventory.json');
  const open: Kept['open'] = async ({ keep = true, ...more } = {}) => {
    const opened = await openRemembered(dir, { env: {}, file, build: 'one', ...more });
    if (keep) opened.keep();
    return opened.inventory;
  };
  assert.deepEqual(await open(), loadInventory(dir));
  return {
    dir,
    file,
    open,
    mark: () => rewrite(file, (json) => json.replace(/"warnings":\[[^\]]*\]/, `"warnings":["${MARK}"]`)),
  };
}

/** Changes what is kept, with a digest that fits: what comes of it shows that it was used. */
function rewrite(file: string, change: (json: string) => string): void {
  const text = readFileSync(file, 'utf8');
  const json = change(text.slice(text.indexOf('\n') + 1));
  writeFileSync(file, `${createHash('sha256').update(json).digest('hex')}\n${json}`);
}

const isKept = (inventory: Inventory): boolean => inventory.warnings.includes(MARK);

test('what is kept is the same as what is loaded, and is used', async (t) => {
  const { dir, open, mark, file } = await kept(t);
  const fresh: unknown = JSON.parse(JSON.stringify(loadInventory(dir)));
  assert.deepEqual(await open(), fresh);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  mark();
  assert.ok(isKept(await open()));
  assert.ok(isKept(await open({ keep: false })));
});

test('nothing is kept unasked, by sources, or where there is no state folder', async (t) => {
  const { dir, file, open } = await kept(t);
  rmSync(file);
  await open({ keep: false });
  await open({ build: null });
  await open({ file: null });
  await open({ file: join(dir, 'missing', 'inventory.json') });
  assert.equal(existsSync(file), false);
});

const CHANGES: Readonly<Record<string, (kept: Kept) => Partial<MemoOptions> | void>> = {
  'a file': ({ dir }) => writeFileSync(join(dir, 'home.yaml'), FULL.replace('vmid: 101', 'vmid: 102')),
  'one letter of a comment': ({ dir }) => writeFileSync(join(dir, 'lab.yml'), `${LAB}#\n`),
  'a new file': ({ dir }) =>
    writeFileSync(join(dir, 'more.yaml'), LAB.replaceAll('lab', 'more').replaceAll('9.0.1', '9.0.2')),
  'a program has become a link': ({ dir }) => {
    const hook = join(dir, 'hooks', 'notify');
    rmSync(hook);
    symlinkSync('check_dns', hook);
  },
  'what the owner of the machine allows': () => ({ env: { PROXWARDEN_ALLOWED_HOOKS: '/usr/bin/true' } }),
  'the program itself': () => ({ build: 'two' }),
};

for (const [what, change] of Object.entries(CHANGES))
  test(`changed: ${what}`, async (t) => {
    const all = await kept(t);
    all.mark();
    const options = change(all) ?? {};
    const now = await all.open(options);
    assert.deepEqual(now, loadInventory(all.dir, { env: options.env ?? {} }));
    all.mark();
    assert.ok(isKept(await all.open(options)), 'kept anew');
  });

test('what makes an inventory invalid is found although its files are the same', async (t) => {
  for (const spoil of [
    (dir: string): void => chmodSync(join(dir, 'hooks', 'notify'), 0o644),
    (dir: string): void => rmSync(join(dir, 'hooks', 'check_dns')),
    (dir: string): void => {
      rmSync(join(dir, 'hooks', 'notify'));
      symlinkSync('/usr/bin/true', join(dir, 'hooks', 'notify'));
    },
    (dir: string): void => symlinkSync('home.yaml', join(dir, 'link.yaml')),
  ]) {
    const { dir, open } = await kept(t);
    spoil(dir);
    await assert.rejects(open(), InventoryError);
  }
});

test('a damaged one is not used, nor one in a folder that others may write', async (t) => {
  const { dir, file, open, mark } = await kept(t);
  const fresh = loadInventory(dir);
  mark();
  const whole = readFileSync(file);
  for (const at of [0, 63, 64, 65, 200, whole.length - 1]) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    writeFileSync(file, damaged);
    assert.deepEqual(await open({ keep: false }), fresh, `byte ${at}`);
  }
  for (const text of ['', '\n', 'x', `${createHash('sha256').update('').digest('hex')}\n`]) {
    writeFileSync(file, text);
    assert.deepEqual(await open({ keep: false }), fresh, JSON.stringify(text));
  }
  writeFileSync(file, whole);
  assert.ok(isKept(await open()));
  chmodSync(join(file, '..'), 0o770);
  assert.deepEqual(await open({ keep: false }), fresh);
});
