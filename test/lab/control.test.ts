import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as z from 'zod';
import { FailedError, InputError, LockedError } from '../../lib/errors.ts';
import { execFile } from '../../lib/exec.ts';
import { connectLab } from '../../lib/lab/client.ts';
import { labUp, type RunningLab } from '../../lib/lab/control.ts';
import { exampleInventory, examplePorts } from '../../lib/lab/example.ts';
import type { LabControl } from '../../lib/lab/types.ts';
import { callHttps, freePort, occupy, tcp, temporaryFolder, type Answer } from './sockets.ts';

const SPEED = 100;
/** Waiting for the lab ends here, should it never do what is waited for. */
const timeout = 20_000;

/** A base whose ports are free at this moment. */
async function freeBase(): Promise<number> {
  const { api: nodes, ...others } = examplePorts(20_000);
  return freePort(...[...Object.values(nodes), ...Object.values(others)].map((port) => port - 20_000));
}

async function start(t: TestContext, dir?: string, portBase?: number): Promise<RunningLab> {
  const lab = await labUp({
    dir: dir ?? (await temporaryFolder(t)),
    speed: SPEED,
    portBase: portBase ?? (await freeBase()),
  });
  t.after(() => lab.close());
  return lab;
}

/** Calls a node's API with the token and the CA that the lab has written. */
async function api(
  { dir, ports }: RunningLab,
  node: string,
  path: string,
  form?: Record<string, string>,
): Promise<Answer> {
  const folder = join(dir, '.lab');
  const token = (await readFile(join(folder, 'token'), 'utf8')).trim();
  return callHttps(ports[node] ?? 0, `/api2/json${path}`, {
    ca: await readFile(join(folder, 'ca.pem'), 'utf8'),
    method: form === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `PVEAPIToken=${token}`,
      ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
    },
    ...(form === undefined ? {} : { body: new URLSearchParams(form).toString() }),
  });
}

function data<T>(answer: Answer, schema: z.ZodType<T>): T {
  assert.equal(answer.status, 200, answer.reason);
  return z.object({ data: schema }).parse(JSON.parse(answer.body)).data;
}

/** Resolves as soon as the lab is as `wanted` says, and its sockets have followed. */
async function until(running: RunningLab, wanted: () => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (wanted()) resolve();
    };
    running.lab.onChange(look);
    look();
  });
  await running.settled();
}

function apiIsUp(lab: LabControl, name: string): boolean {
  return lab.status().nodes.some((node) => node.name === name && node.api);
}

const version = z.looseObject({ version: z.string() });

test('a started lab answers on all its ports, with the token and the CA that it has written', async (t) => {
  const lab = await start(t);
  for (const node of ['pve1', 'pve2', 'pve3']) data(await api(lab, node, '/version'), version);
  const { pve1, plugs, nas, dns, web, wiki, db } = lab.ports;
  for (const port of [pve1, plugs, nas, dns, web, wiki, db]) assert.equal(await tcp(port ?? 0), 'open');
  assert.equal(await (await fetch(`http://127.0.0.1:${web}/`)).text(), 'web 102\n');
  assert.deepEqual((await readdir(join(lab.dir, '.lab'))).toSorted(), [
    'bin',
    'ca.pem',
    'key.pem',
    'run.json',
    'token',
  ]);
  const status = await (await connectLab(lab.dir)).status();
  assert.deepEqual(status.ports, lab.ports);
  assert.deepEqual(status.plugs, { pve1: 'on', pve2: 'on', pve3: 'on' });
  assert.equal(status.backups.length, 8);
  assert.deepEqual(
    status.containers.map(({ vmid, state }) => `${vmid} ${state}`).toSorted(),
    [101, 102, 103, 104].map((vmid) => `${vmid} running`),
  );
  assert.deepEqual([status.problems, status.violations], [[], []]);
});

test('the ports are the ones that the inventory for the same base names', async (t) => {
  const base = await freeBase();
  const lab = await start(t, undefined, base);
  const inventory = exampleInventory(base);
  for (const [name, port] of Object.entries(lab.ports))
    assert.ok(inventory.includes(`127.0.0.1:${port}`), name);
});

test('a second lab in the same folder is refused, and the first one goes on', async (t) => {
  const lab = await start(t);
  await assert.rejects(labUp({ dir: lab.dir, speed: 1, portBase: await freeBase() }), LockedError);
  data(await api(lab, 'pve1', '/version'), version);
  assert.equal((await (await connectLab(lab.dir)).status()).pid, process.pid);
});

test('down frees everything; the next lab has the same token and certificate', async (t) => {
  const base = await freeBase();
  const dir = await temporaryFolder(t);
  const kept = (): Promise<string[]> =>
    Promise.all(['token', 'ca.pem', 'key.pem'].map((name) => readFile(join(dir, '.lab', name), 'utf8')));
  const lab = await start(t, dir, base);
  const before = await kept();
  await (await connectLab(dir)).down();
  await lab.closed;
  for (const [name, port] of Object.entries(lab.ports)) assert.equal(await tcp(port), 'ECONNREFUSED', name);
  assert.deepEqual((await readdir(join(dir, '.lab'))).toSorted(), ['bin', 'ca.pem', 'key.pem', 'token']);
  await lab.close();
  const again = await start(t, dir, base);
  assert.deepEqual(await kept(), before);
  data(await api(again, 'pve1', '/version'), version);
});

test('a taken port is told, and nothing is left behind', async (t) => {
  const base = await freeBase();
  const ports = examplePorts(base);
  await occupy(t, ports.wiki);
  const dir = await temporaryFolder(t);
  await assert.rejects(labUp({ dir, speed: 1, portBase: base }), (error) => {
    assert.ok(error instanceof FailedError);
    assert.match(
      error.message,
      new RegExp(`wiki \\(104 on pve3\\) cannot listen on 127.0.0.1:${ports.wiki}`),
    );
    return true;
  });
  for (const port of [...Object.values(ports.api), ports.plugs, ports.nas, ports.dns, ports.web, ports.db]) {
    assert.equal(await tcp(port), 'ECONNREFUSED');
  }
  await assert.rejects(connectLab(dir), InputError);
});

test('a speed, port base or folder that will not do is an input error', async (t) => {
  const dir = await temporaryFolder(t);
  for (const wrong of [
    { speed: 0 },
    { speed: Number.NaN },
    { portBase: 70_000 },
    { dir: join(dir, 'nothing') },
  ]) {
    await assert.rejects(labUp({ dir, speed: 1, portBase: 20_000, ...wrong }), InputError);
  }
});

test(
  "a killed node's API and services are gone; revived, it boots and starts its containers",
  { timeout },
  async (t) => {
    const running = await start(t);
    const { lab, dir, ports } = running;
    const client = await connectLab(dir);
    assert.equal(await client.perform('kill', 'pve1'), 'pve1 has lost power');
    await until(running, () => !apiIsUp(lab, 'pve1'));
    for (const name of ['pve1', 'dns', 'web'])
      assert.equal(await tcp(ports[name] ?? 0), 'ECONNREFUSED', name);
    for (const name of ['pve2', 'db', 'plugs']) assert.equal(await tcp(ports[name] ?? 0), 'open', name);
    await client.perform('revive', 'pve1');
    await until(running, () => apiIsUp(lab, 'pve1') && lab.running().length === 4);
    for (const name of ['pve1', 'dns', 'web']) assert.equal(await tcp(ports[name] ?? 0), 'open', name);
    data(await api(running, 'pve1', '/version'), version);
  },
);

test('the plug takes the power of its node', { timeout }, async (t) => {
  const running = await start(t);
  const { lab, ports } = running;
  const url = `http://127.0.0.1:${ports['plugs']}/plug/pve3/relay`;
  assert.deepEqual(await (await fetch(`${url}?turn=off`)).json(), { ison: false });
  await until(running, () => !apiIsUp(lab, 'pve3'));
  assert.equal(lab.status().nodes.find(({ name }) => name === 'pve3')?.power, 'off');
  assert.deepEqual(await (await fetch(url)).json(), { ison: false });
  assert.equal(await tcp(ports['wiki'] ?? 0), 'ECONNREFUSED');
});

test('a service breaks and is mended while its container runs on', { timeout }, async (t) => {
  const running = await start(t);
  const { lab, dir, ports } = running;
  const client = await connectLab(dir);
  await client.perform('break', 'web');
  assert.equal(await tcp(ports['web'] ?? 0), 'ECONNREFUSED');
  assert.equal(lab.running().length, 4);
  await client.perform('mend', 'web');
  assert.equal(await tcp(ports['web'] ?? 0), 'open');
});

test(
  'a container started and stopped by hand goes through status and socket alike',
  { timeout },
  async (t) => {
    const running = await start(t);
    const { lab, dir, ports } = running;
    const client = await connectLab(dir);
    assert.equal(await client.perform('stop-by-hand', 'web'), 'CT 102 was stopped by hand');
    await until(running, () => lab.running().length === 3);
    assert.equal(await tcp(ports['web'] ?? 0), 'ECONNREFUSED');
    await client.perform('start-by-hand', '102');
    await until(running, () => lab.running().length === 4);
    assert.equal(await tcp(ports['web'] ?? 0), 'open');
  },
);

test(
  "with the least privileges a dead node's container is restored elsewhere and answers at its address",
  { timeout },
  async (t) => {
    const running = await start(t);
    const { lab, ports } = running;
    lab.kill('pve1');
    const backups = data(
      await api(running, 'pve2', '/nodes/pve2/storage/nas/content?content=backup&vmid=102'),
      z.array(z.looseObject({ volid: z.string(), ctime: z.number() })),
    );
    assert.equal(backups.length, 2);
    const newest = backups.toSorted((a, b) => b.ctime - a.ctime)[0]?.volid ?? '';
    const upid = data(
      await api(running, 'pve2', '/nodes/pve2/lxc', {
        vmid: '1000102',
        ostemplate: newest,
        restore: '1',
        storage: 'local',
        onboot: '0',
      }),
      z.string(),
    );
    const taskStatus = z.looseObject({ status: z.string(), exitstatus: z.string().optional() });
    let task: z.infer<typeof taskStatus>;
    do {
      task = data(
        await api(running, 'pve2', `/nodes/pve2/tasks/${encodeURIComponent(upid)}/status`),
        taskStatus,
      );
    } while (task.status === 'running');
    assert.equal(task.exitstatus, 'OK');
    data(await api(running, 'pve2', '/nodes/pve2/lxc/1000102/status/start', {}), z.string());
    await until(running, () => lab.running().some(({ vmid }) => vmid === 1_000_102));
    assert.equal(await (await fetch(`http://127.0.0.1:${ports['web']}/`)).text(), 'web 1000102\n');
    assert.deepEqual(lab.violations, []);
  },
);

test('its pct is root on a node: a task of root@pam, or a refusal', async (t) => {
  const lab = await start(t);
  const { backups } = await (await connectLab(lab.dir)).status();
  const [backup] = backups.filter(({ vmid }) => vmid === 101);
  const pct = async (...args: string[]) => {
    const env = { PATH: process.env['PATH'] ?? '', PROXWARDEN_LAB_NODE: 'pve2' };
    const file = join(lab.dir, '.lab', 'bin', 'pct');
    return execFile({ file, args, env, stdin: '', timeoutMs: 15_000 });
  };
  const restore = ['restore', '1101', backup?.volid ?? '', '--storage', 'local', '--onboot', '0'];
  const made = await pct(...restore);
  assert.deepEqual([made.exitCode, made.stderr], [0, '']);
  assert.match(made.stdout, /extracting archive/);
  const tasks = await api(lab, 'pve2', '/nodes/pve2/tasks?vmid=1101');
  assert.deepEqual(
    data(tasks, z.array(z.looseObject({ type: z.string(), user: z.string() }))).map((task) => [
      task.type,
      task.user,
    ]),
    [['vzrestore', 'root@pam']],
  );
  const again = await pct(...restore);
  assert.deepEqual([again.exitCode, again.stderr.trim()], [255, "CT 1101 already exists on node 'pve2'"]);
});
