/** zod's issues as sentences with a place. Values are not repeated, except words of a fixed list. */
import type * as z from 'zod';
import { closest, formatPath, quoted, type Path, type Problem } from './problems.ts';
import type { JsonMap, YamlFile } from './yaml.ts';

type Issue = z.core.$ZodIssue;

/** One thing that is wrong, with its full path. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  readonly fix: string;
  /** The key itself is wrong (unknown, or not a name), not its value. */
  readonly isKey: boolean;
  /** The known key that an unknown one was probably meant to be. */
  readonly meant?: string | undefined;
}

/** Of one mapping: to look for what was meant takes time. */
const MOST_KEYS = 2000;

/** Keys that the design knows and a later version will bring, or that belong elsewhere. */
const LATER: Readonly<Record<string, string>> = {
  standby: 'not available yet: leave it out',
  drill: 'not available yet: leave it out',
  notify: 'not available yet: use hooks',
};

/** Turns issues into problems with file, line and column. */
export function toProblems(file: string, yaml: YamlFile, findings: readonly Finding[]): Problem[] {
  return findings.map(({ path, message, fix, isKey }) => {
    const place = isKey ? yaml.keyAt(path) : yaml.at(path);
    return { file, ...place, path: formatPath(path), message, fix };
  });
}

/** The findings behind zod's issues about `data`, `most` of them. */
export function findingsOf(issues: readonly Issue[], data: JsonMap, most: number): Finding[] {
  const findings: Finding[] = [];
  for (const issue of issues) {
    if (findings.length >= most) break;
    for (const one of finding(issue, [], data)) findings.push(one);
  }
  return findings.slice(0, most);
}

function finding(issue: Issue, base: Path, data: JsonMap): Finding[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  const plain = (message: string, fix: string): Finding[] => [{ path, message, fix, isKey: false }];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys
        .slice(0, MOST_KEYS)
        .map((key) => unknownKey([...path, key], key, issue.message.split(' ')));
    case 'invalid_key':
      return [{ path, ...splitMessage(issue.issues[0]?.message ?? ''), isKey: true }];
    case 'invalid_union':
      return branch(issue.errors, path, data);
    case 'invalid_type':
      if (issue.message.includes('\n')) return [{ path, ...splitMessage(issue.message), isKey: false }];
      return plain(...wrongType(issue.expected, valueAt(data, path), String(path.at(-1) ?? '')));
    case 'invalid_value':
      return 'values' in issue ? plain(...wrongWord(issue.values, issue.message, valueAt(data, path))) : [];
    case 'too_small':
      if (issue.origin === 'string') return plain('is empty', 'write some text, or leave the key out');
      return plain(
        `must ${issue.origin === 'array' ? 'have' : 'be'} at least ${issue.minimum}${entries(issue.origin)}`,
        'add or raise it',
      );
    case 'too_big':
      return plain(
        `must ${issue.origin === 'array' ? 'have' : 'be'} at most ${issue.maximum}${entries(issue.origin)}`,
        'shorten or lower it',
      );
    case 'custom':
    case 'invalid_format':
    case 'not_multiple_of':
    case 'invalid_element':
      return [{ path, ...splitMessage(issue.message), isKey: false }];
    default:
      return plain('is not valid', 'see inventory/README.md');
  }
}

function entries(origin: string): string {
  return origin === 'array' ? ' entries' : origin === 'string' ? ' characters' : '';
}

function splitMessage(text: string): { message: string; fix: string } {
  const [message = '', fix = ''] = text.split('\n');
  return { message, fix };
}

function unknownKey(path: Path, key: string, known: readonly string[]): Finding {
  const meant = closest(key, known);
  const fix =
    meant === undefined
      ? ((Object.hasOwn(LATER, key) ? LATER[key] : undefined) ?? `known here: ${known.join(', ')}`)
      : `did you mean ${meant}?`;
  return { path, message: 'is an unknown key', fix, isKey: true, meant };
}

/** Of a union's alternatives the one that the value was meant to be: that of its own type. */
function branch(alternatives: readonly (readonly Issue[])[], path: Path, data: JsonMap): Finding[] {
  const ofWrongType = (issues: readonly Issue[]): boolean =>
    issues.some((issue) => issue.path.length === 0 && issue.code === 'invalid_type');
  const meant = alternatives.find((issues) => !ofWrongType(issues) && !issues.some(isWrongUnion));
  if (meant !== undefined) return meant.flatMap((issue) => finding(issue, path, data));
  const nested = alternatives.find((issues) => !ofWrongType(issues));
  if (nested !== undefined) return nested.flatMap((issue) => finding(issue, path, data));
  const types = alternatives
    .flat()
    .flatMap((issue) => (issue.code === 'invalid_type' ? [typeName(issue.expected)] : []));
  const [message] = wrongType('', valueAt(data, path), '');
  const expected = [...new Set(types)].join(' or ');
  return [
    {
      path,
      message: message.replace(/^must be ,/, `must be ${expected},`),
      fix: `write ${expected}`,
      isKey: false,
    },
  ];
}

/** A union inside whose own alternatives were all of the wrong type. */
function isWrongUnion(issue: Issue): boolean {
  return (
    issue.code === 'invalid_union' &&
    issue.path.length === 0 &&
    issue.errors.every((inner) => inner.some((i) => i.path.length === 0 && i.code === 'invalid_type'))
  );
}

function typeName(expected: string): string {
  switch (expected) {
    case 'string':
      return 'text';
    case 'int':
      return 'a whole number';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
    case 'record':
      return 'a mapping';
    default:
      return expected;
  }
}

function wrongType(expected: string, value: unknown, key: string): [string, string] {
  const wanted = typeName(expected);
  if (value === undefined) return ['is missing', key === '' ? `write ${wanted}` : `add ${key}: (${wanted})`];
  if (value === null) return [`must be ${wanted}, but is empty`, 'fill it in or remove the key'];
  if (expected === 'int' && typeof value === 'number')
    return ['must be a whole number', 'write it without a fraction'];
  const is = Array.isArray(value) ? 'a list' : typeName(typeof value);
  const fix = expected === 'string' ? 'put it in quotes if it is meant to be text' : `write ${wanted}`;
  return [`must be ${wanted}, but is ${is}`, fix];
}

function wrongWord(values: readonly unknown[], message: string, value: unknown): [string, string] {
  if (message.includes('\n')) {
    const said = splitMessage(message);
    return [said.message, said.fix];
  }
  const words = values.map(String);
  if (value === undefined) return ['is missing', `write one of ${words.join(', ')}`];
  const meant = typeof value === 'string' ? closest(value, words) : undefined;
  const shown =
    typeof value === 'string' ? `is ${quoted(value)}, which is not known here` : 'is not a known word';
  return [shown, meant === undefined ? `one of ${words.join(', ')}` : `did you mean ${meant}?`];
}

function valueAt(data: unknown, path: Path): unknown {
  let value: unknown = data;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    const found: unknown = Object.hasOwn(value, part) ? Reflect.get(value, part) : undefined;
    value = found;
  }
  return value;
}
