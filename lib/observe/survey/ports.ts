/** Proposes checks of a host from what answers on it: a small list of well-known ports, never a scan of all. */
import type pLimit from 'p-limit';
import type { ProposedCheck } from '../../inventory/draft.ts';
import { joinHostPort } from '../../inventory/addresses.ts';
import type { ProbeSpec } from '../../inventory/types.ts';
import type { Runtime } from '../../runtime.ts';
import { statusIn } from '../probes/http.ts';

type Kind = 'dns' | 'http' | 'https' | 'tcp';

/** The best witnesses of a service first. ssh is last: it says that the machine runs, not that its service does. */
const WELL_KNOWN: readonly (readonly [port: number, kind: Kind, what: string])[] = [
  [53, 'dns', 'name server'],
  [443, 'https', 'web'],
  [80, 'http', 'web'],
  [8123, 'http', 'Home Assistant'],
  [32400, 'http', 'Plex'],
  [8096, 'http', 'Jellyfin'],
  [3000, 'http', 'web'],
  [8080, 'http', 'web'],
  [8443, 'https', 'web'],
  [8000, 'http', 'web'],
  [8081, 'http', 'web'],
  [8006, 'https', 'Proxmox'],
  [8007, 'https', 'Proxmox Backup Server'],
  [9000, 'http', 'web'],
  [9090, 'http', 'web'],
  [81, 'http', 'web'],
  [25, 'tcp', 'mail'],
  [993, 'tcp', 'IMAP'],
  [143, 'tcp', 'IMAP'],
  [389, 'tcp', 'LDAP'],
  [636, 'tcp', 'LDAPS'],
  [445, 'tcp', 'SMB'],
  [2049, 'tcp', 'NFS'],
  [3306, 'tcp', 'MySQL'],
  [5432, 'tcp', 'PostgreSQL'],
  [6379, 'tcp', 'Redis'],
  [27017, 'tcp', 'MongoDB'],
  [1883, 'tcp', 'MQTT'],
  [8883, 'tcp', 'MQTT'],
  [5672, 'tcp', 'AMQP'],
];
const SSH = 22;

/** A check more is a reason more to move a container that is well. */
const MOST_CHECKS = 4;
const CONNECT_MS = 1_000;
const ANSWER_MS = 3_000;

/** Names that a name server may know by itself, before those that it has to ask others for. */
const QUESTIONS = [
  ['localhost', 'A'],
  ['.', 'NS'],
  ['example.org', 'A'],
] as const;

export interface PortsDeps {
  readonly runtime: Pick<Runtime, 'probe'>;
  readonly signal: AbortSignal;
  /** Bounds all connections of a survey together. */
  readonly limit: ReturnType<typeof pLimit>;
}

/**
 * What answers on `host`, as checks. `more`: further ports to look at, before the well-known ones. Rejects only when the
 * signal aborts.
 */
export async function proposeChecks(
  host: string,
  more: readonly number[],
  deps: PortsDeps,
): Promise<ProposedCheck[]> {
  const known = WELL_KNOWN.map(([port]) => port);
  // Unknown ones are asked whether they speak http; what does not is a tcp check.
  const wanted = [
    ...more.filter((port) => !known.includes(port)).map((port) => [port, 'http', ''] as const),
    ...WELL_KNOWN.toSorted(([a], [b]) => Number(more.includes(b)) - Number(more.includes(a))),
  ];
  const open = await Promise.all(
    [...wanted.map(([port]) => port), SSH].map(async (port) =>
      (await isOpen(host, port, deps)) ? port : null,
    ),
  );
  const best = wanted.filter(([port]) => open.includes(port)).slice(0, MOST_CHECKS);
  const checks = await Promise.all(
    best.map(([port, kind, what]) => deps.limit(() => proposal(host, port, kind, what, deps))),
  );
  if (checks.length > 0) return checks;
  if (open.includes(SSH))
    return [
      {
        check: { tcp: joinHostPort({ host, port: SSH }) },
        review:
          'ssh answers, which says that the machine runs, not that its service does: name the port of that',
      },
    ];
  return [await pingProposal(host, deps)];
}

/** What is left when no port answers. */
async function pingProposal(host: string, { runtime, signal }: PortsDeps): Promise<ProposedCheck> {
  const common = { label: `ping ${host}`, timeoutMs: ANSWER_MS, attempts: 2 } as const;
  const { ok, reason } = await runtime.probe({ kind: 'ping', host, ...common }, signal);
  return {
    check: { ping: host },
    review: ok
      ? 'it answers a ping, but on no well-known port: check the service itself'
      : `nothing of it answers this machine, not even a ping (${reason})`,
  };
}

async function isOpen(host: string, port: number, { runtime, signal, limit }: PortsDeps): Promise<boolean> {
  const label = joinHostPort({ host, port });
  const spec: ProbeSpec = { kind: 'tcp', host, port, label, timeoutMs: CONNECT_MS, attempts: 1 };
  return limit(async () => (await runtime.probe(spec, signal)).ok);
}

async function proposal(
  host: string,
  port: number,
  kind: Kind,
  what: string,
  deps: PortsDeps,
): Promise<ProposedCheck> {
  switch (kind) {
    case 'dns':
      return dnsProposal(host, port, deps);
    case 'http':
    case 'https':
      return httpProposal(kind, host, port, what, deps);
    case 'tcp':
    default:
      return { check: { tcp: joinHostPort({ host, port }) }, note: what };
  }
}

async function dnsProposal(
  host: string,
  port: number,
  { runtime, signal }: PortsDeps,
): Promise<ProposedCheck> {
  for (const [name, type] of QUESTIONS) {
    const label = `dns ${host}`;
    const common = { label, timeoutMs: ANSWER_MS, attempts: 1 } as const;
    const answer = await runtime.probe({ kind: 'dns', server: host, port, name, type, ...common }, signal);
    if (!answer.ok) continue;
    const check = { server: host, name, ...(type === 'A' ? {} : { type }) };
    return { check: { dns: check }, review: 'ask for a name that only this server can know' };
  }
  return {
    check: { tcp: joinHostPort({ host, port }) },
    note: 'name server; it answered no simple question',
  };
}

async function httpProposal(
  scheme: 'http' | 'https',
  host: string,
  port: number,
  what: string,
  { runtime, signal }: PortsDeps,
): Promise<ProposedCheck> {
  const url = new URL(`${scheme}://${joinHostPort({ host, port })}/`).href;
  const answer = await runtime.probe(
    {
      kind: 'http',
      url,
      method: 'GET',
      status: [[200, 399]],
      insecure: true,
      label: `http ${url}`,
      timeoutMs: ANSWER_MS,
      attempts: 1,
    },
    signal,
  );
  const status = answer.ok ? 200 : statusIn(answer.reason);
  const tcp = { tcp: joinHostPort({ host, port }) };
  // What only sounds like http is a port that is open.
  if (status === null) return what === '' ? { check: tcp } : { check: tcp, note: what };
  if (status >= 500 || status < 200)
    return {
      check: tcp,
      review: `it answered ${url} with ${status}: is it well? An http check would say more`,
    };
  // Its certificate is not for its address; what a probe asks is no secret.
  const insecure = scheme === 'https' ? { insecure: true } : {};
  if (status > 399) return { check: { http: { url, status, ...insecure } }, note: httpNote(what, status) };
  return { check: { http: scheme === 'https' ? { url, ...insecure } : url }, note: httpNote(what, null) };
}

function httpNote(what: string, status: number | null): string {
  return [what, ...(status === null ? [] : [`it answered ${status}`])]
    .filter((part) => part !== '')
    .join(', ');
}
