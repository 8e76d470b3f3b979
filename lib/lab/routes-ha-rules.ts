/** HA rules, which have taken the place of groups in 9.x: from its schema and source (unmeasured). */
import { createHash } from 'node:crypto';
import type { HaRule } from './ha.ts';
import { ApiError } from './http.ts';
import { splitList } from './params.ts';
import type { Call, Route } from './route.ts';
import { nodesOf, READ, writable, WRITE } from './routes-ha.ts';

export const haRuleRoutes: readonly Route[] = [
  { endpoint: 'GET /cluster/ha/rules', demands: READ, answer: list, since: 9 },
  { endpoint: 'POST /cluster/ha/rules', demands: WRITE, answer: create, since: 9 },
  { endpoint: 'DELETE /cluster/ha/rules/{rule}', demands: WRITE, answer: remove, since: 9 },
];

function list({ world, params }: Call): unknown {
  const type = params.text('type');
  const resource = params.text('resource');
  return [...world.ha.rules.values()]
    .filter((rule) => type === undefined || rule.type === type)
    .filter((rule) => resource === undefined || rule.resources.includes(resource))
    .map(entry);
}

function entry(rule: HaRule): Record<string, unknown> {
  return {
    rule: rule.rule,
    type: rule.type,
    ...(rule.type === 'node-affinity'
      ? { nodes: rule.nodes.join(','), strict: rule.strict ? 1 : 0 }
      : { affinity: rule.affinity }),
    resources: rule.resources.join(','),
    ...(rule.disabled ? { disable: 1 } : {}),
    ...(rule.comment === undefined ? {} : { comment: rule.comment }),
    digest: createHash('sha1').update(rule.rule).digest('hex'),
  };
}

async function create(call: Call): Promise<unknown> {
  const { world, params } = call;
  const { ha, nodes } = world;
  const failed = (why: string): never => {
    throw new ApiError(500, `create ha rule failed: ${why}`);
  };
  await writable(call, 'create ha rule', 'ha');
  const rule = params.must('rule');
  const type = params.must('type');
  const named = nodesOf(params.text('nodes') ?? '');
  const resources = splitList(params.must('resources'));
  if (ha.rules.has(rule)) failed(`HA rule '${rule}' already defined`);
  const unmanaged = resources.filter((sid) => !ha.resources.has(sid));
  if (unmanaged.length > 0) failed(`cannot use unmanaged resource(s) ${unmanaged.join(', ')}.`);
  const unknown = named.filter((node) => nodes.find(node) === undefined);
  if (unknown.length > 0) failed(`cannot use non-existant node(s) ${unknown.join(', ')}.`);
  ha.rules.set(rule, {
    rule,
    type,
    nodes: named,
    resources,
    strict: params.flag('strict'),
    disabled: params.flag('disable'),
    affinity: params.text('affinity'),
    comment: params.text('comment'),
  });
  return null;
}

/** One that isn't there counts as removed. */
async function remove(call: Call): Promise<unknown> {
  await writable(call, 'delete ha rule', 'ha');
  call.world.ha.rules.delete(call.params.must('rule'));
  return null;
}
