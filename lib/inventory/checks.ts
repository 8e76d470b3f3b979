/** Checks and canaries: how probes are written in the inventory. Paths of exec checks stay as written here. */
import * as z from 'zod';
import { joinHostPort, parseHost, parseHostPort, parseHttpUrl } from './addresses.ts';
import { count, duration, httpUrl, refuse, said, strict } from './fields.ts';
import type { ProbeSpec } from './types.ts';

const DEFAULT_TIMEOUT_MS = 3000;
const DEFAULT_ATTEMPTS = 2;
const KINDS = ['tcp', 'http', 'dns', 'ping', 'exec'] as const;

type Without<T> = T extends unknown ? Omit<T, 'timeoutMs' | 'attempts'> : never;
/** A probe without what all kinds have in common. */
type Probe = Without<ProbeSpec>;
type Status = [number, number];

const tcp = z
  .string()
  .meta({ pattern: ':[0-9]{1,5}$' })
  .transform((value, context): Probe => {
    const parsed = parseHostPort(value);
    if (parsed === undefined) {
      return refuse(context, 'is not host:port', 'write 10.0.0.53:53 or [fd00::53]:53');
    }
    return { kind: 'tcp', ...parsed, label: `tcp ${joinHostPort(parsed)}` };
  });

const ping = z.string().transform((value, context): Probe => {
  const host = parseHost(value);
  if (host === undefined)
    return refuse(context, 'is not a host', 'write an address or a host name: 10.0.0.53');
  return { kind: 'ping', host, label: `ping ${host}` };
});

const code = z.int().min(100).max(599);
const codeRange = z
  .string()
  .meta({ pattern: '^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$' })
  .transform((value, context): Status => {
    const [, from, to = from] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(value) ?? [];
    if (from === undefined || Number(from) > Number(to)) {
      return refuse(context, 'is not a range of status codes', 'write 200 or 200-399');
    }
    return [Number(from), Number(to)];
  });
const statusItem = z.union([code.transform((value): Status => [value, value]), codeRange]);
const status = z.union([
  statusItem.transform((value): Status[] => [value]),
  z.array(statusItem).min(1).max(20),
]);

/** Without the query: it may hold an API key, and labels are printed everywhere. */
function httpLabel(url: string): string {
  const query = url.indexOf('?');
  return `http ${query === -1 ? url : `${url.slice(0, query)}?…`}`;
}

function httpProbe(url: string): Probe {
  return { kind: 'http', url, method: 'GET', status: [[200, 399]], insecure: false, label: httpLabel(url) };
}

const http = z.union([
  httpUrl.transform(httpProbe),
  strict({
    url: httpUrl.describe('http or https; no credentials in it.'),
    method: z.enum(['GET', 'HEAD']).optional().describe('HTTP method. Default GET.'),
    status: status
      .optional()
      .describe('Status codes that are fine: one, a range or a list of them. Default 200-399.')
      .meta({ written: ['200-399', [200, '301-302']] }),
    body: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe('Plain text that the answer must contain (within its first MiB). Default: anything will do.')
      .meta({ written: ['Pi-hole'] }),
    insecure: z.boolean().optional().describe('true: the certificate is not checked. Default false.'),
  }).transform((given, context): Probe => {
    if (given.body !== undefined && given.method === 'HEAD') {
      return refuse(context, 'can not be checked with method HEAD', 'use method: GET', ['body']);
    }
    return {
      kind: 'http',
      url: given.url,
      method: given.method ?? 'GET',
      status: given.status ?? [[200, 399]],
      insecure: given.insecure ?? false,
      label: httpLabel(given.url),
      ...(given.body === undefined ? {} : { body: given.body }),
    };
  }),
]);

const DNS_NAME = /^(\.|([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?)$/i;

const dns = strict({
  server: z
    .string()
    .describe('The server to ask, host or host:port (else port 53). Required.')
    .meta({ written: ['10.0.0.53'] }),
  name: z
    .string()
    .max(253)
    .describe('The name to ask for. Required.')
    .meta({ written: ['example.org'] }),
  type: z
    .enum(['A', 'AAAA', 'TXT', 'MX', 'NS', 'SOA', 'CNAME', 'PTR'])
    .optional()
    .describe('Type of the record that is asked for. Default A.'),
}).transform((given, context): Probe => {
  const server = parseHostPort(given.server, 53);
  const nameOk = DNS_NAME.test(given.name);
  if (server === undefined) refuse(context, 'is not a host or host:port', 'write 10.0.0.53', ['server']);
  if (!nameOk) refuse(context, 'is not a DNS name', 'write example.org', ['name']);
  if (server === undefined || !nameOk) return z.NEVER;
  const where = server.port === 53 ? server.host : joinHostPort(server);
  const type = given.type ?? 'A';
  const label = `dns ${where} ${given.name}${type === 'A' ? '' : ` ${type}`}`;
  return { kind: 'dns', server: server.host, port: server.port, name: given.name, type, label };
});

// On one line: it is named in reports and logs.
const programPath = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^[^\n\t]*$/, { error: said('holds a line break or a tab', 'give the file another name') });
const programArgs = z
  .array(z.string().max(4096))
  .max(50)
  .optional()
  .describe('Arguments; there is no shell.')
  .meta({ written: [['--verbose']] });
const ABOUT_PATH = 'An executable file inside the inventory folder, relative to it.';

function execProbe(path: string, args: readonly string[]): Probe {
  return { kind: 'exec', path, args, label: `exec ${path}` };
}

const exec = z.union([
  programPath.transform((path) => execProbe(path, [])),
  strict({ path: programPath.describe(ABOUT_PATH), args: programArgs }).transform(({ path, args = [] }) =>
    execProbe(path, args),
  ),
]);

const mappingShape = {
  tcp: tcp
    .optional()
    .describe('host:port that accepts a connection; IPv6 in brackets.')
    .meta({ written: ['10.0.0.53:53'] }),
  http: http
    .optional()
    .describe('A URL that answers, or a mapping with url, method, status, body, insecure.')
    .meta({ written: ['http://10.0.0.80/'] }),
  dns: dns.optional().describe('A DNS server that answers a question.'),
  ping: ping
    .optional()
    .describe('A host that answers a ping.')
    .meta({ written: ['10.0.0.53'] }),
  exec: exec
    .optional()
    .describe(`${ABOUT_PATH} Exit 0/1/2/3 as monitoring plugins do.`)
    .meta({ written: ['hooks/check_dns'] }),
  timeout: duration({ maxMs: 60_000 })
    .optional()
    .describe('How long one attempt may take, at most 60s. Default 3s.'),
  attempts: count(1, 10).optional().describe('Tries within one run before it counts as failed. Default 2.'),
};

/** One check: a mapping with exactly one of tcp, http, dns, ping, exec. */
export const check = strict(mappingShape)
  .meta({ oneOf: KINDS.map((kind) => ({ required: [kind] })) })
  .transform((given, context): ProbeSpec => {
    const probes = KINDS.map((kind) => given[kind]).filter((probe) => probe !== undefined);
    const probe = probes[0];
    if (probe === undefined || probes.length > 1) {
      const message = probe === undefined ? 'says no kind of check' : 'holds more than one kind of check';
      return refuse(context, message, `give exactly one of ${KINDS.join(', ')} per list entry`);
    }
    return {
      ...probe,
      timeoutMs: given.timeout ?? DEFAULT_TIMEOUT_MS,
      attempts: given.attempts ?? DEFAULT_ATTEMPTS,
    };
  });

const CANARY_FIX = 'write tcp:host:port, ping:host, http:URL or dns:server/name';

const canaryText = z
  .string()
  .meta({ pattern: '^(tcp|ping|http|dns):.+$' })
  .transform((value, context): ProbeSpec => {
    const parsed = parseCanary(value);
    if (parsed === undefined) return refuse(context, 'is not a canary', CANARY_FIX);
    if ('fix' in parsed) return refuse(context, parsed.message, parsed.fix);
    return { ...parsed, timeoutMs: DEFAULT_TIMEOUT_MS, attempts: DEFAULT_ATTEMPTS };
  });

function parseCanary(value: string): Probe | { message: string; fix: string } | undefined {
  const [, kind, rest = ''] = /^([a-z]+):(.+)$/.exec(value) ?? [];
  if (kind === 'http') {
    const parsed = parseHttpUrl(rest);
    return 'url' in parsed ? httpProbe(parsed.url.href) : parsed;
  }
  const slash = rest.lastIndexOf('/');
  const given: unknown =
    kind === 'dns' ? { server: rest.slice(0, slash), name: rest.slice(slash + 1) } : rest;
  const schema =
    kind === 'tcp' ? tcp : kind === 'ping' ? ping : kind === 'dns' && slash > 0 ? dns : undefined;
  return schema?.safeParse(given).data;
}

/** A canary: text like `ping:10.0.0.1`, or a mapping like a check's. */
export const canary = z.union([canaryText, check]);

/** A hook: a path, or a mapping with arguments and a timeout. */
export const hook = z.union([
  programPath.transform((path) => ({ path, args: [], timeoutMs: 60_000 })),
  strict({
    path: programPath.describe(ABOUT_PATH),
    args: programArgs,
    timeout: duration({ maxMs: 600_000 })
      .optional()
      .describe('How long it may run, at most 10m; then it is killed. Default 60s.'),
  }).transform(({ path, args = [], timeout = 60_000 }) => ({ path, args, timeoutMs: timeout })),
]);
