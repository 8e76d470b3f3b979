import { parseProperties } from './ct-config.ts';
import { parameterError } from './http.ts';
import { PARAMETERS } from './params-table.ts';

interface Rule {
  readonly name: string;
  readonly required: boolean;
  /** Only from this major version of Proxmox VE on; 0: always. */
  readonly since: number;
  /** Another parameter that must be given with it. */
  readonly requires: string | undefined;
  readonly type: string;
  readonly args: readonly string[];
  readonly maxLength: number | undefined;
}

/** The verified parameters of one call, with typed access. */
export class Params {
  readonly #values: ReadonlyMap<string, string>;
  constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }
  text(name: string): string | undefined {
    return this.#values.get(name);
  }
  /** A parameter that the description demands. */
  must(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined) throw parameterError({ [name]: 'property is missing and it is not optional' });
    return value;
  }
  integer(name: string): number | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : Number(value);
  }
  vmid(): number {
    return Number(this.must('vmid'));
  }
  flag(name: string): boolean {
    return this.#values.get(name) === '1';
  }
  has(name: string): boolean {
    return this.#values.has(name);
  }
  entries(): [string, string][] {
    return [...this.#values.entries()];
  }
}

const rulesOf = new Map<string, readonly Rule[]>();

/**
 * Checks `given` against the endpoint's description in that major version of Proxmox VE; throws a 400 that names every
 * wrong parameter.
 */
export function verify(endpoint: string, given: ReadonlyMap<string, string>, major: number): Params {
  const rules = parsedRules(endpoint).filter((rule) => rule.since <= major);
  const errors: Record<string, string> = {};
  for (const rule of rules)
    if (rule.required && !given.has(rule.name))
      errors[rule.name] = 'property is missing and it is not optional';
  for (const [name, value] of given) {
    const general = name.replace(/\d+$/, '[n]');
    const rule = rules.find((one) => one.name === name) ?? rules.find((one) => one.name === general);
    const problem =
      rule === undefined
        ? 'property is not defined in schema and the schema does not allow additional properties'
        : problemOf(rule, value);
    if (problem !== null) errors[name] = problem;
    else if (rule?.requires !== undefined && !given.has(rule.requires))
      errors[rule.requires] = `missing property - '${name}' requires this property`;
  }
  if (Object.keys(errors).length > 0) throw parameterError(errors);
  return new Params(given);
}

function parsedRules(endpoint: string): readonly Rule[] {
  const known = rulesOf.get(endpoint);
  if (known !== undefined) return known;
  const rules = (PARAMETERS[endpoint] ?? '')
    .split(/\s+/)
    .filter((word) => word !== '')
    .map(parsedRule);
  rulesOf.set(endpoint, rules);
  return rules;
}

function parsedRule(word: string): Rule {
  const at = word.indexOf(':');
  const name = word.slice(0, at);
  const [type = 'str', length] = word.slice(at + 1).split('<');
  const match = /^(\w+)\((.*)\)$/.exec(type);
  return {
    name: name.replace(/[!@^].*$/, ''),
    required: name.includes('!'),
    since: Number(/@(\d+)/.exec(name)?.[1] ?? 0),
    requires: /\^([\w-]+)/.exec(name)?.[1],
    type: match?.[1] ?? type,
    args: match?.[2]?.split(match[1] === 'enum' ? '|' : ',') ?? [],
    maxLength: length === undefined ? undefined : Number(length),
  };
}

function problemOf(rule: Rule, value: string): string | null {
  if (rule.name === 'vmid' && rule.type === 'int') {
    if (!/^-?\d+$/.test(value)) return `type check ('integer') failed - got '${value}'`;
    return validVmid(value) ? null : 'invalid format - value does not look like a valid VM ID\n';
  }
  if (rule.maxLength !== undefined && value.length > rule.maxLength)
    return `value may only be ${rule.maxLength} characters long`;
  switch (rule.type) {
    case 'int':
      return /^-?\d+$/.test(value) ? rangeProblem(rule, Number(value)) : typeProblem('integer', value);
    case 'num':
      return /^-?\d+(\.\d+)?$/.test(value) ? rangeProblem(rule, Number(value)) : typeProblem('number', value);
    case 'bool':
      return value === '0' || value === '1' ? null : typeProblem('boolean', value);
    case 'enum':
      return rule.args.includes(value)
        ? null
        : `value '${value}' does not have a value in the enumeration '${rule.args.join(', ')}'`;
    default: {
      const problem = formatProblem(rule, value);
      return problem === null ? null : `invalid format - ${problem}\n`;
    }
  }
}

function typeProblem(type: string, value: string): string {
  return `type check ('${type}') failed - got '${value}'`;
}

function rangeProblem(rule: Rule, value: number): string | null {
  const [low, high] = rule.args;
  if (low !== undefined && low !== '' && value < Number(low))
    return `value must have a minimum value of ${low}`;
  if (high !== undefined && high !== '' && value > Number(high))
    return `value must have a maximum value of ${high}`;
  return null;
}

function validVmid(text: string): boolean {
  return /^[1-9]\d{2,8}$/.test(text);
}

const CONTENT_TYPES = new Set(['images', 'rootdir', 'vztmpl', 'iso', 'backup', 'snippets', 'import', 'none']);

function formatProblem(rule: Rule, value: string): string | null {
  switch (rule.type) {
    case 'pve-vmid-list':
      return splitList(value).every(validVmid) ? null : 'value does not look like a valid VM ID';
    case 'pve-tag-list':
      return splitList(value).every((tag) => /^[a-z0-9_][a-z0-9_\-+.]*$/i.test(tag))
        ? null
        : 'invalid characters in tag';
    case 'pve-storage-content':
    case 'pve-storage-content-list': {
      const wrong = splitList(value).find((one) => !CONTENT_TYPES.has(one));
      return wrong === undefined ? null : `invalid content type '${wrong}'`;
    }
    case 'pve-storage-id':
      return /^[a-z][a-z0-9\-_.]*[a-z0-9]$/i.test(value)
        ? null
        : `storage ID '${value}' contains illegal characters`;
    case 'pve-configid':
    case 'pve-configid-list': {
      const ids = rule.type === 'pve-configid' ? [value] : splitList(value);
      const wrong = ids.find((id) => !/^[a-z][a-z0-9_-]+$/i.test(id));
      return wrong === undefined ? null : `invalid configuration ID '${wrong}'`;
    }
    case 'pve-node':
      return NODE_NAME.test(value) ? null : 'value does not look like a valid node name';
    case 'pve-ha-node-list':
      return splitList(value).every((one) => NODE_NAME.test(one.replace(/:\d+$/, '')))
        ? null
        : 'value does not look like a valid node name';
    case 'pve-volume-id':
      return /^[a-z][a-z0-9\-_.]*[a-z0-9]:.+$/i.test(value) ? null : `unable to parse volume ID '${value}'`;
    case 'prune-backups':
      return pruneProblem(value);
    case 'dns-name':
      return /^([a-z0-9]([a-z0-9-]*[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(value)
        ? null
        : 'value does not look like a valid DNS name';
    case 'pve-ha-resource-id-list':
      return splitList(value).every((one) => /^(ct|vm):[1-9]\d{2,8}$/.test(one))
        ? null
        : `unable to parse HA resource '${value}'`;
    case 'pve-ha-resource-or-vm-id':
      return /^((ct|vm):)?[1-9]\d{2,8}$/.test(value) ? null : `unable to parse HA resource '${value}'`;
    case 'props':
      return propertyProblem(rule.name, value);
    default:
      return null;
  }
}

const NODE_NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i;

const KEEP = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'].map((one) => `keep-${one}`);
const DISK = 'acl mountoptions quota replicate ro shared size'.split(' ');

/** Keys of the property strings; `must`: those that may not be missing; `main`: the key that may be left out. */
const PROPERTIES: Readonly<
  Record<
    string,
    { readonly keys: readonly string[]; readonly must: readonly string[]; readonly main?: string }
  >
> = {
  net: {
    keys: 'name bridge firewall gw gw6 host-managed hwaddr ip ip6 link_down mtu rate tag trunks type'.split(
      ' ',
    ),
    must: ['name'],
  },
  rootfs: { keys: DISK, must: [], main: 'volume' },
  mp: { keys: [...DISK, 'backup', 'mp'], must: ['mp'], main: 'volume' },
  dev: { keys: 'deny-write gid mode uid'.split(' '), must: [], main: 'path' },
  features: { keys: 'force_rw_sys fuse keyctl mknod mount nesting'.split(' '), must: [] },
  unused: { keys: [], must: [], main: 'volume' },
};

function propertyProblem(name: string, value: string): string | null {
  const known = PROPERTIES[name.replace(/(?:\[n\]|\d+)$/, '')];
  if (known === undefined) return null;
  const parts = parseProperties(value);
  if (parts.has('') && known.main === undefined)
    return 'value without key, but schema does not define a default key';
  const unknown = [...parts.keys()].find(
    (key) => key !== '' && key !== known.main && !known.keys.includes(key),
  );
  if (unknown !== undefined)
    return `${unknown}: property is not defined in schema and the schema does not allow additional properties`;
  const missing = [...known.must, ...(known.main === undefined || parts.has('') ? [] : [known.main])].find(
    (key) => !parts.has(key),
  );
  return missing === undefined ? null : `${missing}: property is missing and it is not optional`;
}

function pruneProblem(value: string): string | null {
  const parts = parseProperties(value);
  const unknown = [...parts.keys()].find((key) => key !== 'keep-all' && !KEEP.includes(key));
  if (unknown === '') return 'value without key, but schema does not define a default key';
  if (unknown !== undefined)
    return `${unknown}: property is not defined in schema and the schema does not allow additional properties`;
  const [key, text] = [...parts].find(([, count]) => !/^\d+$/.test(count)) ?? [];
  if (key !== undefined) return `${key}: type check ('integer') failed - got '${text ?? ''}'`;
  return parts.has('keep-all') && parts.size > 1
    ? 'keep-all cannot be set together with other options.'
    : null;
}

/** Proxmox's lists: separated by commas, semicolons, blanks or (from repeated fields) NULs. */
export function splitList(value: string): string[] {
  // eslint-disable-next-line no-control-regex -- NUL is how Proxmox itself joins repeated fields
  return value.split(/[\s,;\0]+/).filter((part) => part !== '');
}
