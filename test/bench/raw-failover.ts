/** What a person's script would do in place of a failover: the same calls in the same order, and nothing besides. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../lib/clock.ts';
import { Agent, request } from 'undici';
import * as z from 'zod';
import { tokenSecret } from '../secrets.ts';
import { TOKEN_ID } from './fleet.ts';

const Input = z.object({
  ca: z.string(),
  ports: z.object({ api: z.record(z.string(), z.number()), plugs: z.number() }),
  service: z.number(),
});
/** How often it asks for the end of a task. */
const POLL_MS = 250;

const { ca, ports, service } = Input.parse(JSON.parse(process.argv[2] ?? ''));
const dispatcher = new Agent({ connect: { ca: readFileSync(ca) } });
const origin = `https://127.0.0.1:${ports.api['pve2'] ?? 0}`;

async function call(
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  form?: Record<string, string>,
): Promise<unknown> {
  const { statusCode, body } = await request(`${origin}/api2/json${path}`, {
    dispatcher,
    method,
    headers: {
      authorization: `PVEAPIToken=${TOKEN_ID}=${tokenSecret()}`,
      ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
    },
    ...(form === undefined ? {} : { body: new URLSearchParams(form).toString() }),
  });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${method} ${path}: ${statusCode} ${text}`);
  return z.object({ data: z.unknown() }).parse(JSON.parse(text)).data;
}

async function task(path: string, form: Record<string, string>): Promise<void> {
  const upid = z.string().parse(await call('POST', path, form));
  for (;;) {
    const status = z
      .object({ status: z.string(), exitstatus: z.string().optional() })
      .parse(await call('GET', `/nodes/pve2/tasks/${encodeURIComponent(upid)}/status`));
    if (status.exitstatus !== undefined && status.exitstatus !== 'OK') throw new Error(status.exitstatus);
    if (status.status === 'stopped') return;
    await systemClock.sleep(POLL_MS);
  }
}

async function plug(query: string): Promise<void> {
  const { body } = await request(`http://127.0.0.1:${ports.plugs}/plug/pve1/relay${query}`);
  await body.text();
}

async function answers(): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`http://127.0.0.1:${service}/`);
    await body.text();
    return statusCode === 200;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return false;
  }
}

const copy = '/nodes/pve2/lxc/1000101';
await answers();
await call('GET', '/cluster/status');
await call('GET', '/cluster/resources');
// Whether its API is silent.
await call('GET', '/nodes/pve1/status').catch((error: unknown) => {
  if (!(error instanceof Error) || !error.message.includes(': 595 ')) throw error;
});
await plug('?turn=off');
await plug('');
const content = '/nodes/pve2/storage/nas/content';
const [backup] = z
  .array(z.object({ volid: z.string() }))
  .parse(await call('GET', `${content}?content=backup&vmid=101`));
const volid = backup?.volid ?? '';
await call('GET', `/nodes/pve2/vzdump/extractconfig?volume=${encodeURIComponent(volid)}`);
const archive = `${content}/${encodeURIComponent(volid)}`;
await call('PUT', archive, { protected: '1' });
await call('POST', '/cluster/ha/groups', { group: 'guard-pve1', nodes: 'pve1', restricted: '1' });
await call('POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'disabled', group: 'guard-pve1' });
await call('GET', '/cluster/ha/resources');
await task('/nodes/pve2/lxc', {
  vmid: '1000101',
  ostemplate: volid,
  restore: '1',
  storage: 'local',
  onboot: '0',
  description: 'a copy',
});
await call('GET', `${copy}/config`);
await call('PUT', `${copy}/config`, { description: 'a copy, live' });
await call('GET', `${copy}/status/current`);
await task(`${copy}/status/start`, {});
while (!(await answers())) await systemClock.sleep(POLL_MS);
await call('PUT', `${copy}/config`, { onboot: '1' });
await task('/nodes/pve2/vzdump', {
  vmid: '1000101',
  storage: 'nas',
  mode: 'snapshot',
  compress: 'zstd',
  remove: '0',
});
await call('PUT', archive, { protected: '0' });
await dispatcher.close();
