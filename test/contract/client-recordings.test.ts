/** Every recorded reply of a genuine PVE to a call that the client makes can be read by the client's schemas. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { endpointViewFrom, resourcesFrom } from '../../lib/pve/cluster.ts';
import { backupViews, taskEntries } from '../../lib/pve/guest.ts';
import { bridgesFrom } from '../../lib/pve/cluster.ts';
import { volumeBytes } from '../../lib/decide/guest-config.ts';
import { configFacts, configFromReply } from '../../lib/pve/parse.ts';
import * as inspect from '../../lib/pve/inspect-schemas.ts';
import * as schemas from '../../lib/pve/schemas.ts';
import { InterfacesReply, NodesReply } from '../../lib/pve/survey.ts';
import { createdArchive, decisiveLine } from '../../lib/pve/task.ts';
import { parseUpid } from '../../lib/pve/upid.ts';
import { count } from './count.ts';
import { replies, SKIP_WITHOUT } from './recordings.ts';
import { pathsInSources } from './seen-calls.ts';

const WithData = z.looseObject({ data: z.unknown() });

/** What the client does with a reply, by path; throws when it can't. */
const READERS: readonly (readonly [RegExp, (data: unknown) => void])[] = [
  [/^\/nodes$/, (data) => NodesReply.parse(data)],
  [/^\/nodes\/[^/]+\/lxc\/\d+\/interfaces$/, (data) => InterfacesReply.parse(data)],
  [/^\/version$/, (data) => schemas.VersionReply.parse(data)],
  [
    /^\/cluster\/status$/,
    (data) => {
      const view = endpointViewFrom('https://x:8006', schemas.ClusterStatusReply.parse(data));
      assert(view.node !== null && view.online.includes(view.node));
    },
  ],
  [
    /^\/cluster\/resources$/,
    (data) => {
      const { nodes, guests, storages } = resourcesFrom(schemas.ResourcesReply.parse(data));
      for (const guest of guests) assert(guest.vmid >= 100 && guest.node !== '');
      const known = z
        .array(z.looseObject({ type: z.string() }))
        .parse(data)
        .filter(({ type }) => !['sdn', 'pool'].includes(type));
      assert.equal(nodes.length + guests.length + storages.length, known.length);
    },
  ],
  [/^\/nodes\/[^/]+\/status$/, (data) => schemas.NodeStatusReply.parse(data)],
  [/^\/nodes\/[^/]+\/network$/, (data) => assert(bridgesFrom(schemas.NetworkReply.parse(data)).length > 0)],
  [
    /^\/nodes\/[^/]+\/netstat$/,
    (data) => schemas.NetstatReply.parse(data).forEach(({ vmid }) => assert(vmid >= 100)),
  ],
  [
    /^\/nodes\/[^/]+\/lxc\/\d+\/config$/,
    (data) => {
      const facts = configFacts(configFromReply(schemas.ConfigReply.parse(data)));
      assert((facts.memMax ?? 0) > 0 && volumeBytes(facts.config) !== null);
      for (const mac of facts.macs) assert.match(mac, /^([0-9A-F]{2}:){5}[0-9A-F]{2}$/);
    },
  ],
  [
    /^\/nodes\/[^/]+\/lxc\/\d+\/status\/current$/,
    (data) => assert.match(schemas.GuestStatusReply.parse(data).status, /^\w+$/),
  ],
  [/^\/access\/permissions$/, (data) => schemas.PermissionsReply.parse(data)],
  [/^\/cluster\/ha\/resources$/, (data) => schemas.HaResourcesReply.parse(data)],
  [/^\/cluster\/ha\/groups$/, (data) => schemas.HaGroupsReply.parse(data)],
  [/^\/cluster\/ha\/status\/manager_status$/, (data) => schemas.HaManagerReply.parse(data)],
  [
    /^\/nodes\/[^/]+\/storage\/[^/]+\/content$/,
    (data) => {
      for (const backup of backupViews(
        { cluster: 'home', storage: 'shared' },
        schemas.ContentReply.parse(data),
      ))
        assert(backup.vmid >= 100 && backup.at > 1_795_000_000_000 && backup.size > 0);
    },
  ],
  [/^\/nodes\/[^/]+\/vzdump\/extractconfig$/, (data) => schemas.ExtractedConfigReply.parse(data)],
  [
    /^\/(?:nodes\/[^/]+|cluster)\/tasks$/,
    (data) =>
      taskEntries(schemas.TasksReply.parse(data), 'root@pam').forEach(({ upid }) =>
        assert(parseUpid(upid) !== null, upid),
      ),
  ],
  [/^\/nodes\/[^/]+\/tasks\/[^/]+\/status$/, (data) => schemas.TaskStatusReply.parse(data)],
  [/^\/storage$/, (data) => inspect.StorageDefinitionsReply.parse(data)],
  [/^\/cluster\/config\/nodes$/, (data) => inspect.ConfigNodesReply.parse(data)],
  [/^\/nodes\/[^/]+\/tasks\/[^/]+\/log$/, (data) => schemas.TaskLogReply.parse(data)],
];

/** Paths that the client writes to and never reads. */
const WRITTEN_ONLY = [
  /^\/nodes\/[^/]+\/lxc$/,
  /^\/nodes\/[^/]+\/storage\/[^/]+\/content\/[^/]+$/,
  /^\/cluster\/ha\/resources\/[^/]+$/,
];

test('every recorded reply to a read of ours can be parsed', SKIP_WITHOUT, (t) => {
  let parsed = 0;
  let refused = 0;
  let other = 0;
  const wrong: string[] = [];
  const used = new Set<RegExp>();
  const ours = pathsInSources();
  for (const { where, method, path, status, body } of replies()) {
    const reader = method === 'GET' ? READERS.find(([pattern]) => pattern.test(path)) : undefined;
    if (reader === undefined) {
      other++;
      const read = method === 'GET' && !WRITTEN_ONLY.some((pattern) => pattern.test(path));
      if (read && status === 200 && ours.some(({ matches }) => matches(path)))
        wrong.push(`${where}: the client asks for ${path}, and no reader is here for it`);
    } else if (status !== 200) refused++;
    else
      try {
        reader[1](WithData.parse(body).data);
        used.add(reader[0]);
        parsed++;
      } catch (error) {
        wrong.push(`${where}: ${String(error)}`);
      }
  }
  count(
    t,
    `${parsed} replies parsed; not applicable: ${refused} errors, ${other} of calls that are no reads of ours`,
  );
  const unseen = READERS.filter(([pattern]) => !used.has(pattern)).map(([pattern]) => pattern.source);
  t.diagnostic(`never recorded with success: ${unseen.join(' ')}`);
  assert.deepEqual(wrong, []);
  assert(parsed > 300, `only ${parsed} replies were found`);
});

test('every recorded UPID of a write can be parsed, and nothing else is taken for one', SKIP_WITHOUT, (t) => {
  let upids = 0;
  for (const { where, method, status, body } of replies()) {
    if (method === 'GET' || status !== 200) continue;
    const { data } = WithData.parse(body);
    const isUpid = schemas.UpidReply.safeParse(data).success;
    assert.equal(isUpid, typeof data === 'string' && parseUpid(data) !== null, where);
    if (isUpid) upids++;
  }
  count(t, `${upids} UPIDs parsed`);
  assert(upids > 100);
});

test(
  'every recorded log of a task that failed has a decisive line, every backup’s log its archive',
  SKIP_WITHOUT,
  (t) => {
    let failed = 0;
    let archives = 0;
    for (const { where, path, status, body } of replies()) {
      if (!path.endsWith('/log') || !path.includes('/tasks/') || status !== 200) continue;
      const reply = schemas.TaskLogReply.parse(WithData.parse(body).data);
      if (!Array.isArray(reply)) continue;
      const log = reply.map(({ t: text }) => text ?? '');
      if (log.some((line) => line.startsWith('TASK ERROR'))) {
        failed++;
        assert(
          !['', 'job errors', null].includes(decisiveLine(log)) ||
            !log.some((line) => line.startsWith('ERROR:')),
          where,
        );
      }
      const volid = createdArchive(log, 'shared');
      if (volid === null) continue;
      archives++;
      assert.match(
        volid,
        /^shared:backup\/vzdump-lxc-\d+-\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d\.tar(\.\w+)?$/,
        where,
      );
    }
    t.diagnostic(`${failed} failed tasks, ${archives} archives`);
    assert(failed > 10 && archives > 10);
  },
);
