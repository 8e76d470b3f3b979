import assert from 'node:assert/strict';
import { Lab } from '../../lib/lab/lab.ts';
import type { LabResponse, WorldSpec } from '../../lib/lab/types.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';

export const TOKEN = 'PVEAPIToken=proxwarden@pve!cli=s3cret';

/** Three nodes, a shared backup storage, two containers with a nic and one without, one backup each. */
export const WORLD: WorldSpec = {
  cluster: 'home',
  nodes: [1, 2, 3].map((index) => ({ name: `pve${index}`, ip: `10.88.0.${index}`, memoryMiB: 8192 })),
  storages: [
    { id: 'local', path: '/var/lib/vz', content: ['rootdir', 'images', 'backup', 'vztmpl'] },
    { id: 'nas', path: '/mnt/pve/nas', content: ['backup'], shared: true },
  ],
  containers: [
    {
      vmid: 101,
      node: 'pve1',
      hostname: 'dns',
      onboot: true,
      running: true,
      ip: '10.88.0.101/24',
      tags: ['net'],
      description: 'resolver: first\n100 %',
      services: [{ kind: 'tcp', host: '127.0.0.1', port: 5301 }],
    },
    { vmid: 102, node: 'pve2', hostname: 'web', onboot: true, running: true, ip: '10.88.0.102/24' },
    { vmid: 103, node: 'pve3', hostname: 'silent', running: true },
  ],
  backups: [
    { vmid: 101, storage: 'nas', ageSeconds: 3600 },
    { vmid: 103, storage: 'nas', ageSeconds: 3600 },
    { vmid: 102, storage: 'nas', ageSeconds: 7200, truncated: true },
  ],
  tokens: [{ id: 'proxwarden@pve!cli', secret: 's3cret', privileges: { '/': ['*'] } }],
};

/** Hexadecimal digits that are the same in every run. */
export function countingHex(): (bytes: number) => string {
  let state = 1;
  return (bytes) =>
    Array.from({ length: bytes }, () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return ((state >> 8) & 0xff).toString(16).padStart(2, '0');
    }).join('');
}

/** A lab on a virtual clock, with short ways to ask it. */
export class Bench {
  readonly clock = new VirtualClock();
  readonly lab: Lab;
  readonly token: string;
  constructor(options: { world?: WorldSpec; configDir?: string; speed?: number; token?: string } = {}) {
    const { configDir, speed } = options;
    this.token = options.token ?? TOKEN;
    this.lab = new Lab({
      clock: this.clock,
      world: options.world ?? WORLD,
      randomHex: countingHex(),
      ...(configDir === undefined ? {} : { configDir }),
      ...(speed === undefined ? {} : { speed }),
    });
  }

  /** `call('pve1', 'GET', '/version')`; a record is sent as a form. */
  async call(
    node: string,
    method: string,
    path: string,
    form?: Readonly<Record<string, string | number>>,
  ): Promise<LabResponse> {
    const body = form === undefined ? '' : encode(form);
    const query = method === 'GET' || method === 'DELETE' ? body : '';
    return this.clock.run(
      this.lab.handle(node, {
        method,
        path: `/api2/json${path}${query === '' ? '' : `?${query}`}`,
        headers: { authorization: this.token, 'content-type': 'application/x-www-form-urlencoded' },
        body: query === '' ? body : '',
      }),
    );
  }

  /** The `data` of an answer that must be 200. */
  async data(
    node: string,
    method: string,
    path: string,
    form?: Readonly<Record<string, string | number>>,
  ): Promise<unknown> {
    const response = await this.call(node, method, path, form);
    assert.equal(response.status, 200, `${method} ${path}: ${response.status} ${response.statusText}`);
    return dataOf(response);
  }

  /** Starts a task and waits for its end: its exit status and its log. */
  async task(
    node: string,
    method: string,
    path: string,
    form?: Readonly<Record<string, string | number>>,
  ): Promise<{ exitstatus: string; log: string[]; upid: string }> {
    const upid = await this.data(node, method, path, form);
    assert.ok(typeof upid === 'string' && upid.startsWith('UPID:'), `not a UPID: ${String(upid)}`);
    const owner = upid.split(':')[1] ?? '';
    for (;;) {
      const status = record(
        await this.data(node, 'GET', `/nodes/${owner}/tasks/${encodeURIComponent(upid)}/status`),
      );
      if (status['status'] === 'stopped') {
        const lines = list(
          await this.data(node, 'GET', `/nodes/${owner}/tasks/${encodeURIComponent(upid)}/log`, { limit: 0 }),
        );
        return {
          exitstatus: String(status['exitstatus']),
          log: lines.map((line) => String(line['t'])),
          upid,
        };
      }
      await this.clock.advance(500);
    }
  }

  runs(): string[] {
    return this.lab
      .running()
      .map((copy) => `${copy.node}/${copy.vmid}`)
      .toSorted();
  }
}

function encode(form: Readonly<Record<string, string | number>>): string {
  return new URLSearchParams(
    Object.entries(form).map(([key, value]): [string, string] => [key, String(value)]),
  ).toString();
}

export function dataOf(response: LabResponse): unknown {
  const parsed: unknown = JSON.parse(response.body);
  return record(parsed)['data'];
}

export function record(value: unknown): Record<string, unknown> {
  assert.ok(typeof value === 'object' && value !== null, `not an object: ${JSON.stringify(value)}`);
  return Object.fromEntries(Object.entries(value));
}

export function list(value: unknown): Record<string, unknown>[] {
  assert.ok(Array.isArray(value), `not a list: ${JSON.stringify(value)}`);
  return value.map(record);
}
