/** What PVE's answers mean for a person: one sentence that says what happened and what to do. */
import type { Outcome } from '../errors.ts';
import { outcomeOfStatus, type FailureKind } from './failure.ts';

export interface Answer {
  readonly cluster: string;
  readonly endpoint: string;
  /** `proxwarden@pve!cli`, without the secret. */
  readonly tokenId: string;
  /** What was asked for: `start of CT 101 on pve1`. */
  readonly what: string;
  readonly status: number;
  /** PVE's own words. */
  readonly raw: string;
  /** For the log of a call to a node behind the endpoint; null when the call is not about one node. */
  readonly node: string | null;
}

export interface Sentence {
  readonly message: string;
  readonly hint: string | undefined;
  readonly outcome: Outcome;
  readonly failure: FailureKind;
}

/** The sentence for an answer that isn't a success. */
export function explainAnswer(answer: Answer): Sentence {
  const outcome = outcomeOfStatus(answer.status);
  if (answer.status === 401) return { ...unauthorised(answer), outcome, failure: 'auth' };
  if (answer.status === 403) return { ...forbidden(answer), outcome, failure: 'auth' };
  if (answer.status === 595 || answer.status === 596) return { ...peer(answer), outcome, failure: 'answer' };
  if (answer.status >= 300 && answer.status < 400)
    return {
      message: `${answer.what}: ${answer.endpoint} of cluster ${answer.cluster} answers with a redirect (${answer.status}), which a Proxmox VE API does not do over HTTPS`,
      hint: 'give the API itself in the inventory: https://HOST:8006',
      outcome,
      failure: 'answer',
    };
  const known = KNOWN.find(([pattern]) => pattern.test(answer.raw));
  const said = answer.raw === '' ? `status ${answer.status}` : answer.raw;
  return {
    message: `${answer.what}: ${known === undefined ? said : `${known[1]} (${said})`}`,
    hint: known?.[2] ?? (answer.status >= 502 && answer.status <= 504 ? PROXY_HINT : undefined),
    outcome,
    failure: 'answer',
  };
}

const PROXY_HINT =
  'such an answer comes from a proxy in front of the API: give the nodes themselves as endpoints';

function unauthorised({ cluster, tokenId, raw }: Answer): { message: string; hint: string } {
  const said = raw === '' ? '401' : raw;
  return {
    message: `the API of cluster ${cluster} refuses the token (${said}): check that ${tokenId} exists, is not expired or disabled, and that its secret is the one given`,
    hint: `pveum user token list ${tokenId.split('!')[0] ?? tokenId}`,
  };
}

function forbidden({ cluster, tokenId, what, raw }: Answer): { message: string; hint: string } {
  const [, path, privileges] = /\((\/[^,]*), ([^)]+)\)/.exec(raw) ?? [];
  if (path === undefined || privileges === undefined)
    return {
      message: `${what}: token ${tokenId} of cluster ${cluster} is not allowed to do that (${raw === '' ? '403' : raw})`,
      hint: 'compare its privileges with the list in the README (token)',
    };
  const needed = privileges.split('|').join(' or ');
  return {
    message: `${what}: token ${tokenId} lacks ${needed} on ${path} — pveum acl modify ${path} --tokens '${tokenId}' --roles ROLE, with a role that holds ${needed} (see README, token)`,
    hint: 'with privilege separation the user itself needs the privilege too: --users',
  };
}

function peer({ what, endpoint, node, status, raw }: Answer): { message: string; hint: undefined } {
  const who = node === null ? 'the node that it is for' : `node ${node}`;
  const how = status === 595 ? `cannot reach ${who}` : `reached ${who}, which then gave no answer`;
  return {
    message: `${what}: ${endpoint} ${how} (${status}${raw === '' ? '' : ` ${raw}`})`,
    hint: undefined,
  };
}

/** PVE's words, what they mean, and what helps. The first that fits counts. */
const KNOWN: readonly (readonly [RegExp, string, string?])[] = [
  [
    /no quorum|Unable to open file .*\/etc\/pve\/.*Permission denied/i,
    'the node has no quorum, so /etc/pve cannot be written',
    'wait until the cluster is quorate again, or act through a node that is',
  ],
  [/^CT \d+ already exists|^VM \d+ already exists/, 'that vmid is taken'],
  [/already running/, 'it runs already'],
  [/not running$/, 'it does not run'],
  [/can't overwrite running container/, 'a container with that vmid runs on the target'],
  [
    /is locked \((\w+)\)/,
    'it is locked: a task works on it, or was cut off while it did',
    'look at the node’s task list; if none is running, `pct unlock VMID` on its node frees it',
  ],
  [
    /protection mode enabled/,
    'it is protected against removal',
    'take the protection off in its options first',
  ],
  [/container is running/, 'it runs'],
  [/Configuration file 'nodes\/[^']+' does not exist/, 'there is no such container on that node'],
  [/volume '[^']+' does not exist/, 'that volume is gone from its storage'],
  [
    /storage '[^']+' does not exist|No such storage/,
    'there is no such storage',
    'compare the inventory with `pvesm status`',
  ],
  [/storage '[^']+' is not available on node/, 'that storage is not set up for this node'],
  [/storage '[^']+' is disabled/, 'that storage is disabled'],
  [
    /is not online|unable to activate storage|could not activate storage/,
    'that storage cannot be used at the moment',
  ],
  [
    /hostname lookup '[^']+' failed/,
    'the cluster has no node of that name',
    'compare the inventory with `pvecm nodes`',
  ],
  [/resource ID '[^']+' already defined/, 'it is under HA already'],
  [/no such resource|not HA managed/, 'it is not under HA'],
  [/used in HA resources/, 'it is under HA', 'remove its HA entry first'],
  [/no such task/, 'the node does not know that task'],
  [/detected modified configuration/, 'somebody else changed the configuration at the same moment'],
  [/Only root may use this option|only allowed for root/, 'only root may do that, no token can'],
  [
    /Method '.*' not implemented|method '.*' not available/,
    'this Proxmox VE version has no such call',
    'Proxmox VE 8 or newer is needed',
  ],
];
