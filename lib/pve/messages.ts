/** What PVE's answers mean for a person: one sentence that says what happened and what to do. */
import type { Outcome } from '../errors.ts';
import { grantLine } from '../roles.ts';
import { outcomeOfStatus, type FailureKind } from './failure.ts';
import { inWords } from './words.ts';

export interface Answer {
  readonly cluster: string;
  readonly endpoint: string;
  /** A token's id, `proxwarden@pve!cli`, or a user, `proxwarden@pve`. */
  readonly who: string;
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
  if (answer.status >= 502 && answer.status <= 504)
    return {
      message: `${answer.what}: ${answer.endpoint} of cluster ${answer.cluster} answers ${`${answer.status} ${answer.raw}`.trim()}, which comes from something in front of the API`,
      hint: 'give the nodes themselves as endpoints, not a proxy or load balancer',
      outcome,
      failure: 'answer',
    };
  const said = answer.raw === '' ? `status ${answer.status}` : answer.raw;
  return {
    message: `${answer.what}: ${inWords(said, answer.what)}`,
    hint: undefined,
    outcome,
    failure: 'answer',
  };
}

function unauthorised({ cluster, who, raw }: Answer): { message: string; hint: string } {
  const said = raw === '' ? '401' : raw;
  if (!isToken(who))
    return {
      message: `the API of cluster ${cluster} refuses the ticket of ${who} (${said}): it was got with the right password, so the user may have been disabled since, or the clocks of the nodes differ`,
      hint: 'the next call logs in anew; `timedatectl` on each node shows its clock',
    };
  return {
    message: `the API of cluster ${cluster} refuses the token (${said}): check that ${who} exists, is not expired or disabled, and that its secret is the one given`,
    hint: `pveum user token list ${who.split('!')[0] ?? who}`,
  };
}

function isToken(who: string): boolean {
  return who.includes('!');
}

/** A refused call names what is missing; some only say that something is. */
function forbidden({ cluster, who, what, raw }: Answer): { message: string; hint: string | undefined } {
  const lacking = lackedRight(raw, who);
  if (lacking !== null) return { message: `${what}: ${lacking}`, hint: undefined };
  return {
    message: `${what}: ${isToken(who) ? 'token' : 'user'} ${who} of cluster ${cluster} is not allowed to do that (${raw === '' ? '403' : raw})`,
    hint: 'compare its privileges with the list in the README (token)',
  };
}

/**
 * `token proxwarden@pve!cli lacks Datastore.AllocateSpace on /storage/nas — pveum acl modify …`, from PVE's words in an
 * answer or in a task's log; null when they name no path.
 */
export function lackedRight(raw: string, who: string): string | null {
  const [, path, privileges] = /\((\/[^,()]*), ([\w.|]+)\)/.exec(raw) ?? [];
  if (path === undefined || privileges === undefined) return null;
  const needed = privileges.split('|');
  const subject = `${isToken(who) ? 'token' : 'user'} ${who}`;
  return `${subject} lacks ${needed.join(' or ')} on ${path} — ${grantLine(path, needed, who)}`;
}

/** The node lives but its daemons don't, when the connection is refused or nothing comes back. */
function peer({ what, endpoint, node, status, raw }: Answer): { message: string; hint: string | undefined } {
  const who = node === null ? 'the node that it is for' : `node ${node}`;
  const how = status === 595 ? `cannot reach ${who}` : `reached ${who}, which then gave no answer`;
  return {
    message: `${what}: ${endpoint} ${how} (${status}${raw === '' ? '' : ` ${raw}`})`,
    hint:
      status === 596 || raw === 'Connection refused'
        ? `if ${who} is up, \`systemctl restart pvedaemon pveproxy\` there`
        : undefined,
  };
}
