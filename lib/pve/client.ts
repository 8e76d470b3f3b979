/** The Proxmox VE API as the rest of the program sees it: one object per cluster, each method one documented call. */
import * as z from 'zod';
import { InputError, PveError } from '../errors.ts';
import type { GuestDetail } from '../decide/model.ts';
import type { Tls } from '../inventory/types.ts';
import type { Runtime } from '../runtime.ts';
import type { CallOptions, PveApi, TaskListEntry } from './api.ts';
import * as calls from './calls.ts';
import { get, path } from './calls.ts';
import { bridgesFrom, endpointViewFrom, failedEndpointView, resourcesFrom } from './cluster.ts';
import { isNetworkFailure, isPeerFailure, RequestError } from './failure.ts';
import { haMethods } from './ha.ts';
import { archivedFrom, guestDetailFrom, lastPowerTask, startUnderWay, taskEntries } from './guest.ts';
import { configFacts, configFromReply } from './parse.ts';
import { createInspection } from './inspect.ts';
import { createLogin, identityOf, type PveCredentials } from './login.ts';
import { powerTaskMethods } from './power-tasks.ts';
import { createRotation } from './rotation.ts';
import * as schemas from './schemas.ts';
import { storageMethods } from './storages.ts';
import { createSurvey } from './survey.ts';
import { createTransport, type Call } from './transport.ts';
import { parseUpid } from './upid.ts';

// Short deadlines, to learn who is silent; a refused login takes its three seconds and must not look like silence. One
// that was silent a moment ago is asked again, as it may live now, but not waited for as long.
const ENDPOINT_VIEW_MS = 4000;
const SILENT_ENDPOINT_MS = 1000;
const NODE_ANSWERS_MS = 5000;
const LOG_PAGE = 500;
const LOG_PAGES_MAX = 20;
const TASKS_MAX = 200;

const NO_TASKS = { lastTask: null, starting: undefined };

export interface PveClientOptions {
  readonly cluster: string;
  readonly endpoints: readonly string[];
  readonly credentials: PveCredentials;
  readonly tls: Tls;
  /** Deadline of one request, milliseconds. */
  readonly timeoutMs: number;
  readonly runtime: Pick<Runtime, 'clock' | 'dispatcher'>;
}

/**
 * Makes the client; nothing is sent yet.
 * @throws InputError when a token isn't of PVE's form (it is not repeated) or there is no endpoint
 */
export function createPveClient(options: PveClientOptions): PveApi {
  const { cluster, endpoints, credentials, timeoutMs, runtime } = options;
  const { clock } = runtime;
  const who = identityOf(cluster, credentials);
  const transport = createTransport({ ...options, who });
  const login = createLogin(credentials, { cluster, transport, timeoutMs, clock });
  const rotation = createRotation({ cluster, endpoints, send: login.send, clock });
  const { read } = rotation;

  async function done(call: Call, callOptions?: CallOptions): Promise<void> {
    await rotation.write(call, z.unknown(), callOptions);
  }

  function upidOf(call: Call, callOptions?: CallOptions): Promise<string> {
    return rotation.write(call, schemas.UpidReply, callOptions);
  }

  /** Asked of a node that hasn't the container, vzdump says 200 `OK` and makes nothing. */
  async function vzdump(...[node, request, callOptions]: Parameters<PveApi['vzdump']>): Promise<string> {
    const call = calls.vzdumpCall(node, request);
    const answer = await rotation.write(call, z.union([z.literal('OK'), schemas.UpidReply]), callOptions);
    if (answer !== 'OK') return answer;
    throw new RequestError(
      `vzdump of CT ${request.vmid} asked of ${node} made no backup: the container is not on that node`,
      { failure: 'answer', outcome: 'refused', status: 200, raw: 'OK' },
    );
  }

  async function statusOf(node: string, vmid: number, callOptions?: CallOptions): Promise<string | null> {
    const call = get(
      `reading the status of CT ${vmid} on ${node}`,
      node,
      path('nodes', node, 'lxc', vmid, 'status', 'current'),
    );
    try {
      return (await read(call, schemas.GuestStatusReply, callOptions)).status;
    } catch (error) {
      // The config may come from the cluster's file system while the node itself is silent.
      if (isPeerFailure(error) || isNetworkFailure(error)) return null;
      throw error;
    }
  }

  async function tasks(
    ...[node, filter, callOptions]: Parameters<PveApi['tasks']>
  ): Promise<TaskListEntry[]> {
    const call = get(
      `reading the tasks of CT ${filter.vmid} on ${node}`,
      node,
      path('nodes', node, 'tasks'),
      {
        vmid: filter.vmid,
        since: Math.floor(filter.since / 1000),
        typefilter: filter.type,
        source: 'all',
        limit: TASKS_MAX,
      },
    );
    return taskEntries(await read(call, schemas.TasksReply, callOptions), who);
  }

  /** Who stopped it is an extra: without an answer, or without the right to see others' tasks, it stays unknown. */
  async function powerTasksOf(
    node: string,
    vmid: number,
    callOptions?: CallOptions,
  ): Promise<{ lastTask: GuestDetail['lastTask']; starting: string | undefined }> {
    try {
      const newest = await tasks(node, { vmid, since: 0 }, callOptions);
      // A token is ours alone; a user may be a person, too, whose stop has to count as a person's.
      const lastTask = lastPowerTask(newest, { alone: credentials.kind === 'token' });
      return { lastTask, starting: startUnderWay(newest) };
    } catch (error) {
      if (error instanceof PveError && callOptions?.signal?.aborted !== true) return NO_TASKS;
      throw error;
    }
  }

  async function guestDetail(node: string, vmid: number, callOptions?: CallOptions): Promise<GuestDetail> {
    const readAt = clock.now();
    const call = get(
      `reading the configuration of CT ${vmid} on ${node}`,
      node,
      path('nodes', node, 'lxc', vmid, 'config'),
    );
    const facts = configFacts(configFromReply(await read(call, schemas.ConfigReply, callOptions)));
    const status = await statusOf(node, vmid, callOptions);
    const power = status === 'stopped' ? await powerTasksOf(node, vmid, callOptions) : NO_TASKS;
    return guestDetailFrom({ node, vmid, readAt, facts, status, ...power });
  }

  async function nodeAnswers(node: string, callOptions: CallOptions = {}): Promise<boolean> {
    const call = get(`asking whether ${node} answers`, node, path('nodes', node, 'status'));
    try {
      const limits = { ...callOptions, timeoutMs: callOptions.timeoutMs ?? NODE_ANSWERS_MS };
      await login.send(rotation.used(), call, schemas.NodeStatusReply, limits);
      return true;
    } catch (error) {
      // It was not even asked.
      if (error instanceof RequestError && error.login) throw error;
      if (isPeerFailure(error) || isNetworkFailure(error)) return false;
      // Any other answer counts as a sign of life: to believe a node dead needs more than a refusal.
      if (error instanceof RequestError && error.status !== undefined) return true;
      throw error;
    }
  }

  async function taskLog(upid: string, logOptions: CallOptions & { start?: number } = {}): Promise<string[]> {
    const node = nodeOf(upid);
    const lines: string[] = [];
    for (let page = 0; page < LOG_PAGES_MAX; page++) {
      const start = (logOptions.start ?? 0) + lines.length;
      const url = path('nodes', node, 'tasks', upid, 'log');
      const call = get(`reading the log of a task on ${node}`, node, url, { start, limit: LOG_PAGE });
      const reply = await read(call, schemas.TaskLogReply, logOptions);
      if (!Array.isArray(reply)) break;
      lines.push(...reply.map((line) => line.t ?? ''));
      if (reply.length < LOG_PAGE) break;
    }
    // What PVE says of an empty log, also beyond its end.
    return lines.length === 1 && lines[0] === 'no content' ? [] : lines;
  }

  return {
    cluster,
    endpoints,
    useEndpoint: rotation.use,
    inspect: createInspection(rotation),
    survey: createSurvey(rotation),

    async endpointView(endpoint, callOptions = {}) {
      const patience = rotation.silentLately(endpoint) ? SILENT_ENDPOINT_MS : ENDPOINT_VIEW_MS;
      const limits = { ...callOptions, timeoutMs: callOptions.timeoutMs ?? patience };
      const call = get('reading the cluster status', null, '/cluster/status');
      try {
        return endpointViewFrom(
          endpoint,
          await rotation.ask(endpoint, call, schemas.ClusterStatusReply, limits),
        );
      } catch (error) {
        return failedEndpointView(endpoint, error);
      }
    },
    version: async (callOptions) =>
      (await read(get('reading the version', null, '/version'), schemas.VersionReply, callOptions)).version,
    resources: async (callOptions) =>
      resourcesFrom(
        await read(
          get('reading the cluster’s resources', null, '/cluster/resources'),
          schemas.ResourcesReply,
          callOptions,
        ),
      ),
    nodeAnswers,
    async netstat(node, callOptions) {
      const call = get(
        `reading the network interfaces of ${node}’s guests`,
        node,
        path('nodes', node, 'netstat'),
      );
      const reply = await read(call, schemas.NetstatReply, callOptions);
      return [...new Set(reply.map((entry) => entry.vmid))].toSorted((a, b) => a - b);
    },
    async nodeFacts(node, callOptions) {
      // Vnets are only listed with it.
      const network = get(`reading the bridges of ${node}`, node, path('nodes', node, 'network'), {
        type: 'any_bridge',
      });
      const status = get(`reading the processor of ${node}`, node, path('nodes', node, 'status'));
      const [bridges, kernel] = await Promise.all([
        read(network, schemas.NetworkReply, callOptions),
        read(status, schemas.NodeMachineReply, callOptions),
      ]);
      return { bridges: bridgesFrom(bridges), machine: kernel['current-kernel']?.machine ?? null };
    },
    guestDetail,
    /** The numbers in the reply say whether a privilege propagates to sub-paths; it is held either way. */
    async permissions(callOptions) {
      const call = get(`reading the privileges of ${who}`, null, '/access/permissions');
      const reply = await read(call, schemas.PermissionsReply, callOptions);
      return Object.fromEntries(
        Object.entries(reply).map(([where, held]) => [where, Object.keys(held).toSorted()]),
      );
    },

    ...haMethods(rotation),

    async archivedConfig(node, volid, callOptions) {
      const call = get(
        `reading the configuration inside ${volid}`,
        node,
        path('nodes', node, 'vzdump', 'extractconfig'),
        {
          volume: volid,
        },
      );
      return archivedFrom(await read(call, schemas.ExtractedConfigReply, callOptions));
    },

    vzdump,
    restore: (node, request, callOptions) => upidOf(calls.restoreCall(node, request), callOptions),
    start: (node, vmid, callOptions) => upidOf(calls.powerCall(node, vmid, 'start'), callOptions),
    stop: (node, vmid, callOptions) => upidOf(calls.powerCall(node, vmid, 'stop'), callOptions),
    shutdown: (node, vmid, seconds, callOptions) =>
      upidOf(calls.powerCall(node, vmid, 'shutdown', seconds), callOptions),
    destroy: (node, vmid, callOptions) => upidOf(calls.destroyCall(node, vmid), callOptions),
    setConfig: (node, vmid, changes, callOptions) =>
      done(calls.setConfigCall(node, vmid, changes), callOptions),

    powerNode: (node, command, callOptions) => done(calls.powerNodeCall(node, command), callOptions),
    stopTask: (upid, callOptions) => done(calls.stopTaskCall(nodeOf(upid), upid), callOptions),
    async taskStatus(upid, callOptions) {
      const node = nodeOf(upid);
      const call = get(
        `reading the state of a task on ${node}`,
        node,
        path('nodes', node, 'tasks', upid, 'status'),
      );
      const reply = await read(call, schemas.TaskStatusReply, callOptions);
      const running = reply.status === 'running';
      return { upid, node, running, exitstatus: running ? null : (reply.exitstatus ?? 'unexpected status') };
    },
    taskLog,
    tasks,
    ...powerTaskMethods(rotation, { self: who, alone: credentials.kind === 'token' }),
    ...storageMethods(cluster, rotation, who),
    async close() {
      login.close();
      await transport.close();
    },
  };
}

function nodeOf(upid: string): string {
  const parsed = parseUpid(upid);
  if (parsed === null) throw new InputError(`${JSON.stringify(upid)} is not a task's UPID`);
  return parsed.node;
}
