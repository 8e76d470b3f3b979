/**
 * The lab's own description of its parameters (lib/lab/params-table.ts) against PVE's schema of 9.1: the same names,
 * types, formats, lists, ranges and lengths. What 8.4 doesn't know yet is marked `@9` there, and refused by an 8.4 lab.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PARAMETERS } from '../../lib/lab/params-table.ts';
import { count } from './count.ts';
import { haveSchema, loadSchema, NOT_IN_EXTRACT, type SchemaEntry } from './api-schema.ts';

/** `volid: str! <255`: one parameter in the table's own words. */
function words(entry: SchemaEntry): Map<string, string> {
  return new Map(
    Object.entries(entry.parameters.properties ?? {}).map(([name, property]) => {
      const { type = 'string', format, minimum, maximum, maxLength, requires } = property;
      const range =
        minimum === undefined && maximum === undefined ? '' : `(${minimum ?? ''},${maximum ?? ''})`;
      const kind =
        property.enum !== undefined
          ? `enum(${property.enum.join('|')})`
          : type === 'boolean'
            ? 'bool'
            : type === 'integer'
              ? `int${range}`
              : type === 'number'
                ? `num${range}`
                : type === 'array'
                  ? 'list'
                  : typeof format === 'object'
                    ? 'props'
                    : (format ?? 'str');
      const length = maxLength === undefined ? '' : `<${maxLength}`;
      return [name, `${property.optional ? '' : '!'}${requires ?? ''} ${kind}${length}`];
    }),
  );
}

function tableWords(text: string): Map<string, string> {
  return new Map(
    text
      .split(/\s+/)
      .filter((word) => word !== '')
      .map((word): [string, string] => {
        const [, name = '', must = '', requires = '', rest = ''] =
          /^([^:!@^]+)(!?)(?:@9)?(?:\^([\w-]+))?:(.*)$/.exec(word) ?? [];
        return [name, `${must}${requires} ${rest}`];
      }),
  );
}

test(
  'the lab’s description of its endpoints is PVE’s',
  { skip: haveSchema ? false : 'the API schema (../shared/pve) is not here' },
  (t) => {
    const schema = new Map(loadSchema().map((entry) => [`${entry.method} ${entry.path}`, entry]));
    const different: string[] = [];
    let compared = 0;
    for (const [endpoint, text] of Object.entries(PARAMETERS)) {
      const entry = schema.get(endpoint);
      if (entry === undefined) {
        const [method = '', path = ''] = endpoint.split(' ');
        if (!NOT_IN_EXTRACT.some(([call]) => call.test(`${method} /api2/json${path}`)))
          different.push(`${endpoint}: not in the schema`);
        continue;
      }
      const theirs = words(entry);
      const ours = tableWords(text);
      compared++;
      for (const name of new Set([...theirs.keys(), ...ours.keys()]))
        if (theirs.get(name) !== ours.get(name))
          different.push(
            `${endpoint} ${name}: schema ${theirs.get(name) ?? '-'}, lab ${ours.get(name) ?? '-'}`,
          );
    }
    count(t, `${compared} endpoints of the lab compared with the schema`);
    assert.deepEqual(different, []);
  },
);
