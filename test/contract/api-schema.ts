/** PVE's own API schema, and what is wrong with a request by it. */
import { existsSync, readFileSync } from 'node:fs';
import * as z from 'zod';
import { formatComplaint } from './formats.ts';

const FILE = '../shared/pve/api-schema.json';

/** The schema is not part of the repository. */
export const haveSchema = existsSync(FILE);

interface PropertySchema {
  type?: string | undefined;
  optional?: boolean | number | undefined;
  format?: string | Record<string, PropertySchema> | undefined;
  enum?: string[] | undefined;
  minimum?: number | undefined;
  maximum?: number | undefined;
  minLength?: number | undefined;
  maxLength?: number | undefined;
  pattern?: string | undefined;
  requires?: string | undefined;
  default_key?: number | undefined;
  'type-property'?: string | undefined;
  'instance-types'?: string[] | undefined;
}

const Property: z.ZodType<PropertySchema> = z.lazy(() =>
  z.looseObject({
    type: z.string().optional(),
    optional: z.union([z.boolean(), z.number()]).optional(),
    format: z.union([z.string(), z.record(z.string(), Property)]).optional(),
    enum: z.array(z.string()).optional(),
    minimum: z.coerce.number().optional(),
    maximum: z.coerce.number().optional(),
    minLength: z.number().optional(),
    maxLength: z.number().optional(),
    pattern: z.string().optional(),
    requires: z.string().optional(),
    default_key: z.number().optional(),
    'type-property': z.string().optional(),
    'instance-types': z.array(z.string()).optional(),
  }),
);

const Schema = z.array(
  z.looseObject({
    method: z.string(),
    path: z.string(),
    parameters: z.looseObject({ properties: z.record(z.string(), Property).optional() }),
  }),
);
export type SchemaEntry = z.infer<typeof Schema>[number];

export function loadSchema(): readonly SchemaEntry[] {
  return Schema.parse(JSON.parse(readFileSync(FILE, 'utf8')));
}

/**
 * Calls that Proxmox has and our extract of its schema has not; each with where its description comes from. Their
 * requests are counted and printed, and only their path is checked.
 */
export const NOT_IN_EXTRACT: readonly (readonly [call: RegExp, reason: string])[] = [
  [/^GET \/api2\/json\/cluster\/config\/qdevice$/, 'in PVE::API2::ClusterConfig, without parameters'],
  [/^GET \/api2\/json\/cluster\/replication$/, 'in PVE::API2::ReplicationConfig, without parameters'],
];

export interface Sent {
  readonly method: string;
  /** With `/api2/json` and query. */
  readonly url: string;
  readonly body: string;
}

/** The schema's entry for a request: a fixed segment wins over a placeholder. */
function entryOf(
  schema: readonly SchemaEntry[],
  method: string,
  segments: readonly string[],
): { entry: SchemaEntry; template: string[] } | undefined {
  const placeholders = (template: readonly string[]): number =>
    template.filter((part) => part.startsWith('{')).length;
  return schema
    .filter((entry) => entry.method === method)
    .map((entry) => ({ entry, template: entry.path.split('/') }))
    .filter(({ template }) => template.length === segments.length)
    .toSorted((a, b) => placeholders(a.template) - placeholders(b.template))
    .find(({ template }) =>
      template.every((part, index) => part.startsWith('{') || part === segments[index]),
    );
}

/** Everything that is wrong with a request. */
export function complaints(schema: readonly SchemaEntry[], { method, url, body }: Sent): string[] {
  const { pathname, searchParams } = new URL(url, 'http://x');
  const segments = pathname.replace('/api2/json', '').split('/');
  const found = entryOf(schema, method, segments);
  if (found === undefined) return ['there is no such call'];
  if (['DELETE', 'GET'].includes(method) && body !== '') return [`a ${method} with a body is refused`];
  const pairs = [...searchParams, ...new URLSearchParams(body)];
  const properties = found.entry.parameters.properties ?? {};
  const twice = pairs
    .map(([name]) => name)
    .filter((name, index, all) => all.indexOf(name) !== index && properties[name]?.type !== 'array');
  const values = new Map(pairs);
  found.template.forEach((part, index) => {
    if (part.startsWith('{')) values.set(part.slice(1, -1), decodeURIComponent(segments[index] ?? ''));
  });
  return [...twice.map((name) => `${name} is given twice`), ...objectComplaints(properties, values)];
}

/** What is wrong with named values: of a call, or of a property string. */
function objectComplaints(
  properties: Readonly<Record<string, PropertySchema>>,
  values: ReadonlyMap<string, string>,
): string[] {
  const wrong = [...values].flatMap(([name, value]) => {
    const property = properties[name] ?? properties[name.replace(/\d+$/, '[n]')];
    if (property === undefined) return [`${name} is no parameter of it`];
    if (property.requires !== undefined && !values.has(property.requires))
      return [`${name} needs ${property.requires}`];
    const kinds = property['instance-types'];
    const kind = values.get(property['type-property'] ?? 'type');
    if (kinds !== undefined && kind !== undefined && !kinds.includes(kind))
      return [`${name} is not for type ${kind}`];
    return valueComplaints(property, value).map((text) => `${name}: ${text}`);
  });
  const missing = Object.entries(properties)
    .filter(([name, { optional }]) => !optional && !values.has(name))
    .map(([name]) => `${name} is missing`);
  return [...wrong, ...missing];
}

function valueComplaints(property: PropertySchema, value: string): string[] {
  const { type = 'string', format } = property;
  // Perl counts code points.
  const length = Array.from(value).length;
  if (type === 'boolean' && !/^[01]$/.test(value)) return [`${value} is no form boolean`];
  if (type === 'integer' && !/^-?\d+$/.test(value)) return [`${value} is no integer`];
  if (type === 'number' && !/^-?(?:\d+(?:\.\d*)?|\.\d+)$/.test(value)) return [`${value} is no number`];
  if (
    ['integer', 'number'].includes(type) &&
    (Number(value) < (property.minimum ?? -Infinity) || Number(value) > (property.maximum ?? Infinity))
  )
    return [`${value} is out of range`];
  if (property.enum !== undefined && !property.enum.includes(value)) return [`${value} is not in the list`];
  if (length > (property.maxLength ?? Infinity)) return [`it is too long (${length})`];
  if (length < (property.minLength ?? 0)) return ['it is too short'];
  if (property.pattern !== undefined && !perlPattern(property.pattern).test(value))
    return [`${value} is not of the form ${property.pattern}`];
  if (format === undefined) return [];
  if (typeof format === 'string') return [formatComplaint(format, value) ?? []].flat();
  return objectComplaints(format, propertyString(format, value));
}

/** `name=eth0,bridge=vmbr0`; a part without a key is the sub-schema's default key. */
function propertyString(
  format: Readonly<Record<string, PropertySchema>>,
  value: string,
): ReadonlyMap<string, string> {
  const main = Object.entries(format).find(([, sub]) => sub.default_key === 1)?.[0];
  return new Map(
    value
      .split(',')
      .filter((part) => part !== '')
      .map((part): [string, string] => {
        const equals = part.indexOf('=');
        return equals < 0 ? [main ?? '(no key)', part] : [part.slice(0, equals), part.slice(equals + 1)];
      }),
  );
}

/** Anchored, as PVE applies them; Perl writes its flags as `(?^i:…)`. */
function perlPattern(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern.replaceAll(/\(\?\^i?:/g, '(?:')})$`, pattern.includes('(?^i:') ? 'i' : '');
}
