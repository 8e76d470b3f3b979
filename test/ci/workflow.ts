/** Runs a workflow's steps as GitHub's runner would: its environment, its event, its files; `uses:` are given as functions. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod';

const Env = z.record(z.string(), z.union([z.string(), z.number()])).default({});
const Step = z.object({
  uses: z.string().optional(),
  with: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  run: z.string().optional(),
  env: Env,
  'working-directory': z.string().default('.'),
});
const Job = z.looseObject({ steps: z.array(Step) });
export const Workflow = z.looseObject({
  name: z.string(),
  permissions: z.record(z.string(), z.string()),
  concurrency: z.looseObject({ group: z.string(), 'cancel-in-progress': z.boolean() }).optional(),
  env: Env,
  jobs: z.record(z.string(), Job),
});

export function readWorkflow(name: string): z.infer<typeof Workflow> {
  return Workflow.parse(parse(readFileSync(join('.github', 'workflows', `${name}.yml`), 'utf8')));
}

export interface Situation {
  /** Temporary; the job's work tree is a folder of it. */
  readonly folder: string;
  /** `inputs.container` and the like. */
  readonly contexts: Readonly<Record<string, string>>;
  readonly event: unknown;
  /** Beside what the workflow sets. */
  readonly env: Readonly<Record<string, string>>;
  /** Takes the place of a step in the work tree; undefined: the step is run. */
  readonly instead: (step: z.infer<typeof Step>, tree: string) => (() => void) | undefined;
}

export interface JobRan {
  readonly code: number;
  readonly log: string;
  readonly summary: string;
  readonly outputs: string;
  readonly tree: string;
}

/** Its only job, to its end or to the first step that fails. */
export async function runWorkflow(name: string, situation: Situation): Promise<JobRan> {
  const workflow = readWorkflow(name);
  const [job] = Object.values(workflow.jobs);
  assert.ok(job !== undefined);
  const tree = mkdtempSync(join(situation.folder, 'tree-'));
  const file = (what: string): string => `${tree}.${what}`;
  for (const what of ['summary', 'output']) writeFileSync(file(what), '');
  writeFileSync(file('event'), JSON.stringify(situation.event));
  const filled = (env: z.infer<typeof Env>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(env).map(([key, text]) => [key, fill(String(text), situation.contexts)]),
    );
  let log = '';
  let code = 0;
  for (const step of job.steps) {
    const instead = situation.instead(step, tree);
    if (instead !== undefined) {
      instead();
      continue;
    }
    assert.ok(step.run !== undefined, `nothing stands for ${step.uses ?? 'this step'}`);
    assert.ok(!step.run.includes('${{'), 'an expression in a script is an injection');
    const script = file('sh');
    writeFileSync(script, step.run);
    const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', script], {
      cwd: join(tree, step['working-directory']),
      env: {
        PATH: process.env['PATH'],
        HOME: situation.folder,
        CI: 'true',
        GITHUB_ACTIONS: 'true',
        GITHUB_WORKSPACE: tree,
        GITHUB_EVENT_PATH: file('event'),
        GITHUB_STEP_SUMMARY: file('summary'),
        GITHUB_OUTPUT: file('output'),
        GITHUB_REPOSITORY: 'me/inventory',
        GITHUB_ACTOR: 'somebody',
        ...filled(workflow.env),
        ...filled(step.env),
        ...situation.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (log += text));
    await once(child, 'close');
    code = child.exitCode ?? -1;
    if (code !== 0) break;
  }
  const read = (what: string): string => (existsSync(file(what)) ? readFileSync(file(what), 'utf8') : '');
  return { code, log, summary: read('summary'), outputs: read('output'), tree };
}

/** `${{ a.b || 'text' }}`: names are looked up, the first that is not empty counts. */
function fill(text: string, contexts: Situation['contexts']): string {
  return text.replace(/\$\{\{ (.*?) \}\}/g, (_, expression: string) => {
    const values = expression.split(' || ').map((part) => /^'(.*)'$/.exec(part)?.[1] ?? contexts[part] ?? '');
    return values.find((value) => value !== '') ?? '';
  });
}
