/** Takes out of an answer what two runs never share: times, process ids, sizes, digests, addresses of hardware. */
export class Normaliser {
  readonly #genuineMacs = new Map<string, number>();
  readonly #labMacs = new Map<string, number>();

  genuine(answer: unknown): string {
    return JSON.stringify(normal(answer, '', this.#genuineMacs), null, 0);
  }

  lab(answer: unknown): string {
    return JSON.stringify(normal(answer, '', this.#labMacs), null, 0);
  }
}

/** Figures that depend on the machine and the moment. The keys must be there; their values are not compared. */
const VOLATILE = new Set(
  'cpu mem disk maxdisk uptime netin netout diskread diskwrite pid pstart starttime endtime ctime size used avail total free used_fraction digest timestamp swap ssl_fingerprint cpuinfo kversion current-kernel loadavg wait idle memory rootfs ksm boot-info saved in out'.split(
    ' ',
  ),
);

function normal(value: unknown, key: string, macs: Map<string, number>): unknown {
  if (Array.isArray(value)) {
    if (value.some((one) => isRecord(one) && 't' in one)) return logLines(value, macs);
    if (value.some((one) => isRecord(one) && 'upid' in one)) return tasksOf(value);
    return value
      .filter((one) => !JSON.stringify(one).includes('2021_01_01'))
      .map((one) => normal(one, key, macs))
      .map((one) => JSON.stringify(one))
      .toSorted();
  }
  if (isRecord(value)) {
    const keys = Object.keys(value).toSorted();
    return Object.fromEntries(
      keys
        // The number of tasks there ever were; of lines of a log it follows from the lines.
        .filter((one) => !(one === 'total' && 'data' in value))
        .map((one) => [one, isVolatile(one, value) ? `<${one}>` : normal(value[one], one, macs)]),
    );
  }
  if (typeof value !== 'string') return value;
  if (key === 'tokenid') return value.replace(/\d+$/, '');
  if (key === 'content') return value.split(',').toSorted().join(',');
  return text(value, macs);
}

/** A log's lines; whether a worker had to wait a moment for a lock is chance. */
function logLines(lines: readonly unknown[], macs: Map<string, number>): string[] {
  return lines
    .map((one) => (isRecord(one) ? text(String(one['t']), macs) : ''))
    .filter((line) => line !== 'trying to acquire lock...' && line !== ' OK');
}

function isVolatile(key: string, owner: Record<string, unknown>): boolean {
  // A guest's memory is configured, a node's is the machine's.
  if (key === 'maxmem') return owner['type'] === 'node';
  // A config's memory, swap and rootfs are not a node's.
  if (['memory', 'swap', 'rootfs'].includes(key)) return 'uptime' in owner;
  return VOLATILE.has(key);
}

/** Lists of tasks hold the whole history of a machine: only how their entries look is compared. */
function tasksOf(list: readonly unknown[]): unknown {
  const shapes = list.filter(isRecord).map((one) => {
    const state = 'endtime' in one ? 'ended' : 'running';
    return `${state}: ${Object.keys(one)
      .filter((key) => key !== 'tokenid' && key !== 'pid')
      .toSorted()
      .join(' ')}`;
  });
  return [...new Set(shapes)].toSorted();
}

function text(value: string, macs: Map<string, number>): string {
  return (
    value
      .replaceAll(/UPID:(\w+):[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:/g, 'UPID:$1:…:')
      .replaceAll(/[0-9A-F]{2}(:[0-9A-F]{2}){5}/gi, (mac) => {
        const known = macs.get(mac) ?? macs.size + 1;
        macs.set(mac, known);
        return `<mac ${known}>`;
      })
      .replaceAll(/\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d/g, '<stamp>')
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, '<time>')
      .replaceAll(/\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}/g, '<date>')
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>')
      .replaceAll(/\/proc\/\d+\//g, '/proc/<pid>/')
      .replaceAll(/conf\.tmp\.\d+/g, 'conf.tmp.<pid>')
      .replaceAll(/\(\d\d:\d\d:\d\d\)/g, '(<duration>)')
      .replaceAll(/transferred .* in \d+s/g, 'transferred <amount>')
      .replaceAll(/(Total bytes (?:read|written)): .*/g, '$1: <amount>')
      .replaceAll(/archive file size: \S+/g, 'archive file size: <amount>')
      .replaceAll(/online again after \S+ seconds/g, 'online again after <n> seconds')
      .replaceAll(/(old timestamp - dead\?|idle|active), <date>/g, '<lrm>')
      .replace(
        /^(INFO: starting new backup job: vzdump )(.*)$/,
        (_, start: string, rest: string) => start + options(rest),
      )
      // The recorded machines' resolver had no network; elsewhere the other text comes.
      .replaceAll('Temporary failure in name resolution', 'Name or service not known')
      .replaceAll(/!(ha|tst)\d+/g, '!$1')
  );
}

/** Perl's hashes come in no order. */
function options(line: string): string {
  return (line.match(/--\S+ (?:'[^']*'|\S+)|\S+/g) ?? []).toSorted().join(' ');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
