/** What a run of the client has really used: methods, functions, paths; so that a new call cannot be forgotten. */
import { readdirSync, readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import type { PveApi } from '../../lib/pve/api.ts';

/** The client, and which of its methods were called: `version`, and `inspect.nodeTime` of an object inside it. */
export function recorded(real: PveApi): { api: PveApi; called: ReadonlySet<string>; methods: string[] } {
  const called = new Set<string>();
  const methods: string[] = [];
  const wrap = <T extends object>(target: T, prefix: string): T => {
    for (const [name, value] of Object.entries(target))
      if (typeof value === 'function') methods.push(prefix + name);
    return new Proxy(target, {
      get(object, name, receiver) {
        const value: unknown = Reflect.get(object, name, receiver);
        if (typeof value === 'function') called.add(`${prefix}${String(name)}`);
        const isPart = typeof value === 'object' && value !== null && !Array.isArray(value);
        return isPart ? parts.get(value) : value;
      },
    });
  };
  // Parts are wrapped first, so that their methods are known even if nobody looks at them.
  const parts = new Map<object, object>();
  for (const [name, value] of Object.entries(real))
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      parts.set(value, wrap(value, `${name}.`));
  return { api: wrap(real, ''), called, methods };
}

/** The names of all functions that ran at least once during `work`, as the engine counted them. */
export async function functionsThatRan(work: () => Promise<void>): Promise<ReadonlySet<string>> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    await work();
    const { result } = await session.post('Profiler.takePreciseCoverage');
    return new Set(
      result
        .flatMap((script) => script.functions)
        .filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
        // A bundler puts a number behind a name that is taken.
        .map(({ functionName }) => functionName.replace(/\d+$/, '')),
    );
  } finally {
    session.disconnect();
  }
}

export interface SourcePath {
  /** `lib/pve/client.ts: nodes/{node}/netstat` */
  readonly text: string;
  readonly matches: (path: string) => boolean;
}

/** Every API path that is written down anywhere in lib/ outside of the lab: `path('nodes', node, …)`, `'/cluster/…'`. */
export function pathsInSources(): SourcePath[] {
  const files = readdirSync('lib', { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.startsWith('lab'),
  );
  return files.flatMap((file) => {
    const source = readFileSync(`lib/${file}`, 'utf8').replaceAll(/^\s*(?:\/?\*|\/\/).*$/gm, '');
    const built = [...source.matchAll(/\bpath\(\s*('(?:[^()]|\([^()]*\))*)\)/g)].map(([, list = '']) =>
      list
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
        .map((part) => (part.startsWith("'") ? part.slice(1, -1) : `{${part}}`)),
    );
    const literal = [
      ...source.matchAll(/'\/((?:access|cluster|nodes|pools|storage|version)(?:\/[\w/-]*)?)'/g),
    ].map(([, text = '']) => text.split('/'));
    return [...built, ...literal].map((segments) => ({
      text: `lib/${file}: ${segments.join('/')}`,
      matches: (path: string) => {
        const parts = path.split('/').slice(1);
        return (
          parts.length === segments.length &&
          segments.every((segment, index) => segment.startsWith('{') || segment === parts[index])
        );
      },
    }));
  });
}
