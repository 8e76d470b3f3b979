/** Every call that changes something, and exactly what is sent for it. Never `force`, `skiplock`, `unique` or `start`. */
import { storageOf } from '../decide/volid.ts';
import { PveError } from '../errors.ts';
import type { PveApi, RestoreRequest } from './api.ts';
import type { Call } from './transport.ts';

/**
 * A path of encoded segments. Throws PveError (not sent) for one that would lead elsewhere: a URL takes `..` for the folder
 * above, encoded or not.
 */
export function path(...segments: readonly (string | number)[]): string {
  for (const segment of segments)
    if (/^\.{0,2}$/.test(String(segment)))
      throw new PveError(`"${segment}" is no name that Proxmox VE gives to anything; nothing was sent`, {
        outcome: 'not-sent',
      });
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('');
}

/** PVE's limits for what it stores as text. */
const NOTES_MAX = 1024;

type Request<M extends 'vzdump'> = Parameters<PveApi[M]>[1];

/**
 * Retention doesn't prune (`remove=0`) unless asked for: what may be deleted is decided by us. (With retention on the
 * storage and as many backups as it keeps, PVE refuses `remove=0`: lib/act/source.ts.)
 */
export function vzdumpCall(node: string, request: Request<'vzdump'>): Call {
  return {
    method: 'POST',
    path: path('nodes', node, 'vzdump'),
    params: {
      vmid: request.vmid,
      storage: request.storage,
      mode: request.mode,
      compress: 'zstd',
      remove: request.prune === true,
      'notes-template': notesTemplate(request.notes),
    },
    what: `vzdump of CT ${request.vmid} on ${node}`,
    node,
  };
}

/**
 * A template is one line: backslashes and line breaks are escaped, and the escaped text has a limit. What looks like a
 * variable is taken apart: PVE would fill it in, or refuse one that it doesn't know (PVE's source; unmeasured).
 */
function notesTemplate(notes: string): string {
  let escaped = '';
  for (const character of notes.replaceAll('\r\n', '\n').replaceAll(/\{(?=\{)/g, '{ ')) {
    const next = character === '\\' ? '\\\\' : character === '\n' ? '\\n' : character;
    if (escaped.length + next.length > NOTES_MAX) break;
    escaped += next;
  }
  return escaped;
}

/** Without `force` and `start`: an existing container is never overwritten, and a copy is started in a call of its own. */
export function restoreCall(node: string, request: RestoreRequest): Call {
  return {
    method: 'POST',
    path: path('nodes', node, 'lxc'),
    params: {
      vmid: request.vmid,
      ostemplate: request.volid,
      restore: true,
      storage: request.storage,
      onboot: false,
      description: request.description,
      tags: request.tags.join(';'),
      ...request.mounts,
    },
    what: `restore of CT ${request.vmid} on ${node}`,
    node,
  };
}

/** `seconds`: how long a shutdown may take before its task fails; it is not turned into a stop. */
export function powerCall(
  node: string,
  vmid: number,
  action: 'start' | 'stop' | 'shutdown',
  seconds?: number,
): Call {
  return {
    method: 'POST',
    path: path('nodes', node, 'lxc', vmid, 'status', action),
    params: { timeout: seconds },
    what: `${action} of CT ${vmid} on ${node}`,
    node,
  };
}

/** Without `force` and `purge`: refused while it runs or is under HA. */
export function destroyCall(node: string, vmid: number): Call {
  return {
    method: 'DELETE',
    path: path('nodes', node, 'lxc', vmid),
    what: `removal of CT ${vmid} on ${node}`,
    node,
  };
}

/** Empty tags and an empty description are deletions. */
export function setConfigCall(
  node: string,
  vmid: number,
  { onboot, protection, tags, description }: Parameters<PveApi['setConfig']>[2],
): Call {
  const gone = [...(tags?.length === 0 ? ['tags'] : []), ...(description === '' ? ['description'] : [])];
  return {
    method: 'PUT',
    path: path('nodes', node, 'lxc', vmid, 'config'),
    params: {
      onboot,
      protection,
      tags: tags === undefined || tags.length === 0 ? undefined : tags.join(';'),
      description: description === '' ? undefined : description,
      delete: gone.length === 0 ? undefined : gone.join(','),
    },
    what: `change of the configuration of CT ${vmid} on ${node}`,
    node,
  };
}

export function protectCall(node: string, volid: string, on: boolean): Call {
  return {
    method: 'PUT',
    path: path('nodes', node, 'storage', storageOf(volid), 'content', volid),
    params: { protected: on },
    what: `${on ? 'protection' : 'release'} of backup ${volid}`,
    node,
  };
}

export function deleteBackupCall(node: string, volid: string): Call {
  return {
    method: 'DELETE',
    path: path('nodes', node, 'storage', storageOf(volid), 'content', volid),
    what: `removal of backup ${volid}`,
    node,
  };
}

/** `restricted`: the inert guard needs it, else the entry's container is moved to another node. */
export function createHaGroupCall(group: string, nodes: readonly string[]): Call {
  return {
    method: 'POST',
    path: '/cluster/ha/groups',
    params: { group, nodes: nodes.join(','), restricted: true },
    what: `creation of HA group ${group}`,
    node: null,
  };
}

export function createHaResourceCall(sid: string, settings: Parameters<PveApi['createHaResource']>[1]): Call {
  return {
    method: 'POST',
    path: '/cluster/ha/resources',
    params: {
      sid,
      state: settings.state,
      group: settings.state === 'disabled' ? settings.group : undefined,
      comment: settings.comment,
    },
    what: `creation of the HA entry ${sid}`,
    node: null,
  };
}

export function setHaStateCall(sid: string, state: Parameters<PveApi['setHaState']>[1]): Call {
  return {
    method: 'PUT',
    path: path('cluster', 'ha', 'resources', sid),
    params: { state },
    what: `change of the HA entry ${sid} to ${state}`,
    node: null,
  };
}

/** On 9.x it takes the entry out of the rules that name it, too (`purge`, its default). */
export function deleteHaResourceCall(sid: string): Call {
  return {
    method: 'DELETE',
    path: path('cluster', 'ha', 'resources', sid),
    what: `removal of the HA entry ${sid}`,
    node: null,
  };
}

export function deleteHaGroupCall(group: string): Call {
  return {
    method: 'DELETE',
    path: path('cluster', 'ha', 'groups', group),
    what: `removal of HA group ${group}`,
    node: null,
  };
}

/** `strict`: as `restricted` of a group. */
export function createHaRuleCall(rule: string, settings: Parameters<PveApi['createHaRule']>[1]): Call {
  return {
    method: 'POST',
    path: '/cluster/ha/rules',
    params: {
      rule,
      type: 'node-affinity',
      nodes: settings.nodes.join(','),
      resources: settings.resources.join(','),
      strict: true,
      comment: settings.comment,
    },
    what: `creation of HA rule ${rule}`,
    node: null,
  };
}

export function deleteHaRuleCall(rule: string): Call {
  return {
    method: 'DELETE',
    path: path('cluster', 'ha', 'rules', rule),
    what: `removal of HA rule ${rule}`,
    node: null,
  };
}

/** Everything on the node goes down with it. */
export function powerNodeCall(node: string, command: 'reboot' | 'shutdown'): Call {
  return {
    method: 'POST',
    path: path('nodes', node, 'status'),
    params: { command },
    what: `${command} of node ${node}`,
    node,
  };
}

export function stopTaskCall(node: string, upid: string): Call {
  return {
    method: 'DELETE',
    path: path('nodes', node, 'tasks', upid),
    what: `stop of a task on ${node}`,
    node,
  };
}

/** A read. */
export function get(
  what: string,
  node: string | null,
  url: string,
  params: NonNullable<Call['params']> = {},
): Call {
  return { method: 'GET', path: url, params, what, node };
}
