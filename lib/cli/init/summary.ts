/** What `init` has done, for people and for programs. Pure. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { counted as count } from '../../text.ts';
import type { InitResult } from './init.ts';

export function initSummary(result: InitResult, file: string): string {
  const { draft, tokenFile } = result;
  const off = draft.containers.filter(({ mode }) => mode === 'off').length;
  const where = ` --inventory ${dirname(file)}`;
  const hasSchema = existsSync(join(dirname(result.file), 'schema.json'));
  return [
    `wrote ${file}: ${count(draft.nodes.length, 'node')}, ${count(draft.containers.length, 'container')}${off === 0 ? '' : ` (${off} off)`}, ${draft.leftOut.length} left out`,
    ...(tokenFile === null ? [] : [`wrote ${tokenFile}: the API token, mode 600`]),
    ...(draft.token.startsWith('env:')
      ? [`the token is read from ${draft.token.slice('env:'.length)}: keep it set`]
      : []),
    ...(hasSchema
      ? []
      : [`for your editor: proxwarden validate --schema > ${join(dirname(file), 'schema.json')}`]),
    `next: look at ${count(result.reviews, 'place')} marked REVIEW in it, then \`proxwarden validate${where}\` and \`proxwarden doctor${where}\``,
  ].join('\n');
}

export function initJson(result: InitResult, dryRun: boolean): string {
  const { draft } = result;
  return JSON.stringify(
    {
      cluster: draft.cluster,
      file: dryRun ? null : result.file,
      tokenFile: result.tokenFile,
      endpoints: draft.endpoints,
      containers: draft.containers.map(({ name, vmid, node, mode, checks }) => ({
        name,
        vmid,
        node,
        mode: mode ?? 'protect',
        checks: checks.map(({ check }) => check),
      })),
      leftOut: draft.leftOut,
      reviews: result.reviews,
      ...(dryRun ? { text: result.text } : {}),
    },
    null,
    2,
  );
}
