/** The reference of every key, as Markdown, from the JSON Schema of the inventory. */
import * as z from 'zod';

export interface Node {
  readonly description?: string | undefined;
  readonly examples?: readonly unknown[] | undefined;
  readonly type?: string | readonly string[] | undefined;
  readonly enum?: readonly unknown[] | undefined;
  readonly pattern?: string | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly items?: Node | undefined;
  readonly anyOf?: readonly Node[] | undefined;
  readonly properties?: Readonly<Record<string, Node>> | undefined;
  readonly additionalProperties?: Node | boolean | undefined;
  readonly required?: readonly string[] | undefined;
}

export const Node: z.ZodType<Node> = z.lazy(() =>
  z.looseObject({
    description: z.string().optional(),
    examples: z.array(z.unknown()).optional(),
    type: z.union([z.string(), z.array(z.string())]).optional(),
    enum: z.array(z.unknown()).optional(),
    pattern: z.string().optional(),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    items: Node.optional(),
    anyOf: z.array(Node).optional(),
    properties: z.record(z.string(), Node).optional(),
    additionalProperties: z.union([z.boolean(), Node]).optional(),
    required: z.array(z.string()).optional(),
  }),
);

/** Keys that are names: what stands for them. */
const NAMES: Readonly<Record<string, string>> = { containers: 'NAME', nodes: 'NODE' };

/** A section for each mapping, in the order of reading; one that has been described already only names where. */
export function reference(root: Node): string {
  // Hooks, checks and the like are written in several places.
  const known = new Map<string, string>();
  const blocks = [section('A file', [table(root)])];
  const visit = (node: Node, path: string): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      const at = path === '' ? key : `${path}.${key}`;
      // What it shares with a container is said there.
      if (at === 'defaults') {
        blocks.push(section('`defaults`', [inherited(child, root)]));
        continue;
      }
      for (const [place, mapping] of mappings(child, at)) {
        const content = JSON.stringify([mapping.properties, mapping.required]);
        const same = known.get(content);
        known.set(content, same ?? place);
        const about = child.description ?? '';
        blocks.push(
          section(`\`${place}\``, [
            about,
            same === undefined ? table(mapping) : `As [\`${same}\`](#${anchor(same)}).`,
          ]),
        );
        if (same === undefined) visit(mapping, place);
      }
    }
  };
  visit(root, '');
  return blocks.join('\n\n');
}

function section(title: string, parts: readonly string[]): string {
  return [`### ${title}`, ...parts.filter((part) => part !== '')].join('\n\n');
}

/** As GitHub makes it of a heading. */
export function anchor(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 _-]/g, '')
    .replaceAll(' ', '-');
}

/** The mappings that a key may hold, with how one gets there. */
function mappings(node: Node, at: string): (readonly [place: string, node: Node])[] {
  const inner = [
    ...(node.anyOf ?? []).flatMap((one) => mappings(one, at)),
    ...(node.items === undefined ? [] : mappings(node.items, `${at}[]`)),
    ...(typeof node.additionalProperties === 'object'
      ? mappings(node.additionalProperties, `${at}.${NAMES[at] ?? 'KEY'}`)
      : []),
  ];
  return node.properties === undefined ? inner : [[at, node], ...inner];
}

/** `defaults`: the difference to a container, so that this sentence stays true. */
function inherited(defaults: Node, { properties = {} }: Node): string {
  const containers = properties['containers']?.additionalProperties;
  const container = typeof containers === 'object' ? containers : {};
  const lacking = (a: Node, b: Node, path = ''): string[] =>
    Object.entries(a.properties ?? {}).flatMap(([key, child]) => {
      const other = b.properties?.[key];
      return other === undefined ? [`\`${path}${key}\``] : lacking(child, other, `${path}${key}.`);
    });
  return `${defaults.description ?? ''} All keys of [\`containers.NAME\`](#containersname) but ${lacking(container, defaults).join(', ')}.`;
}

function table({ properties = {}, required = [] }: Node): string {
  const rows = Object.entries(properties).map(([key, node]) => {
    const { what, otherwise } = said(node, required.includes(key));
    return [`\`${key}\``, valueOf(node), otherwise, what, (node.examples ?? []).map(example).join('<br>')];
  });
  if (rows.length === 0) return '';
  return [
    ['key', 'value', 'default', 'what it is', 'for example'],
    ['---', '---', '---', '---', '---'],
    ...rows,
  ]
    .map((cells) => `| ${cells.join(' | ').replaceAll(/ +/g, ' ')} |`)
    .join('\n');
}

/** A description ends with what holds without the key: `Default 24h.`, `Required for mode protect.` */
export function said(
  { description = '', enum: values = [] }: Node,
  isRequired: boolean,
): { readonly what: string; readonly otherwise: string } {
  const [, what = description, word, rest = ''] =
    /^(.*?) ?\b(Default|Required)\b:? ?((?:[^.]|\.(?!$))*)\.?$/s.exec(description) ?? [];
  const otherwise =
    word === undefined
      ? isRequired
        ? '**required**'
        : '–'
      : word === 'Required'
        ? `**required** ${rest}`.trim()
        : values.includes(rest)
          ? `\`${rest}\``
          : quoted(rest);
  return { what: what.replaceAll('|', '\\|'), otherwise };
}

/** A value as it is written; a sentence as a sentence. */
function quoted(text: string): string {
  return /^[\w./:+-]+$/.test(text) && !['none', 'all'].includes(text) ? `\`${text}\`` : text;
}

function valueOf(node: Node): string {
  const {
    enum: values,
    pattern,
    type,
    items,
    anyOf,
    properties,
    additionalProperties,
    minimum,
    maximum,
  } = node;
  if (anyOf !== undefined) return [...new Set(anyOf.map(valueOf))].join(' or ');
  if (values !== undefined) return values.map((one) => `\`${String(one)}\``).join(', ');
  if (items !== undefined) return `list of ${plural(valueOf(items))}`;
  if (properties !== undefined) return 'mapping';
  if (typeof additionalProperties === 'object') return 'mapping by name';
  if (pattern?.includes('(ms|s|m|h|d)') === true) return 'duration';
  if (pattern?.startsWith('^(env:') === true) return '`env:NAME` or `file:PATH`';
  if (type === 'boolean') return '`true`, `false`';
  if (type === 'integer' || type === 'number')
    return minimum === undefined || maximum === undefined || maximum > 1_000_000_000
      ? 'number'
      : `number (${minimum}–${maximum})`;
  return Array.isArray(type) ? type.join(' or ') : 'text';
}

function plural(value: string): string {
  return value === 'mapping'
    ? 'mappings'
    : value.replaceAll('mapping', 'mappings').replaceAll('text ', 'texts ');
}

/** As it is written in YAML, on one line. */
function example(value: unknown): string {
  return `\`${flow(value).replaceAll('|', '\\|')}\``;
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, one]) => `${key}: ${flow(one)}`)
      .join(', ')} }`;
  return typeof value === 'string' && /^[@*&!%#`]|: /.test(value) ? `"${value}"` : String(value);
}
