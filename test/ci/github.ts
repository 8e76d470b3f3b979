/** As much of GitHub's API as the workflows' scripts ask for, on loopback. */
import { createServer } from 'node:http';
import type { TestContext } from 'node:test';
import * as z from 'zod';
import { listen } from '../observe/probe-helpers.ts';

const Asked = z.looseObject({
  title: z.string().optional(),
  body: z.string().optional(),
  head: z.string().optional(),
  base: z.string().optional(),
  state: z.string().optional(),
});

interface Thing {
  readonly number: number;
  readonly kind: 'comment' | 'pull' | 'issue';
  title: string;
  body: string;
  head: string;
  state: string;
}

export interface FakeGitHub {
  readonly url: string;
  readonly things: Thing[];
  /** Method and path of each request that writes. */
  readonly writes: string[];
  pullsAllowed: boolean;
}

export async function fakeGitHub(t: TestContext, token: string): Promise<FakeGitHub> {
  const things: Thing[] = [];
  const writes: string[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => (text += part));
    request.on('end', () => {
      const [path = '', query = ''] = (request.url ?? '').replace('/repos/me/inventory', '').split('?');
      const say = (status: number, json: unknown): void => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
      };
      if (request.headers.authorization !== `Bearer ${token}`) return say(401, {});
      const method = request.method ?? '';
      if (method !== 'GET') writes.push(`${method} ${path}`);
      const asked = Asked.parse(text === '' ? {} : JSON.parse(text));
      const shown = (one: Thing) => ({
        ...one,
        id: one.number,
        user: { type: 'Bot' },
        ...(one.kind === 'pull' ? { pull_request: {} } : {}),
      });
      const kind = path.endsWith('/comments') ? 'comment' : path === '/pulls' ? 'pull' : 'issue';
      if (path === '') return say(200, { default_branch: 'main' });
      if (method === 'GET') {
        const head = new URLSearchParams(query).get('head');
        const open = things.filter(
          (one) => one.state === 'open' && (head === null || head === `me:${one.head}`),
        );
        return say(
          200,
          open
            .filter((one) => (kind === 'issue' ? one.kind !== 'comment' : one.kind === kind))
            .map((one) => shown(one)),
        );
      }
      if (method === 'POST') {
        if (kind === 'pull' && !github.pullsAllowed) return say(403, {});
        const made = {
          number: things.length + 1,
          kind,
          title: asked.title ?? '',
          body: asked.body ?? '',
          head: asked.head ?? '',
          state: 'open',
        } as const;
        things.push({ ...made });
        return say(201, made);
      }
      const found = things.find((one) => one.number === Number(path.split('/').at(-1)));
      if (found === undefined) return say(404, {});
      found.body = asked.body ?? found.body;
      found.state = asked.state ?? found.state;
      return say(200, shown(found));
    });
  });
  const github: FakeGitHub = {
    url: `http://127.0.0.1:${await listen(t, server)}`,
    things,
    writes,
    pullsAllowed: true,
  };
  return github;
}
