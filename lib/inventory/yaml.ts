/**
 * YAML text to plain data, with the place of every value. Only the part of YAML that an inventory needs: mappings
 * with text keys, lists and scalars; aliases within limits; no tags, no merge keys.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node, type Pair } from 'yaml';
import { hasUnprintable, isReserved } from '../text.ts';
import { formatPath, quoted, type Path, type Problem } from './problems.ts';
import { describeSyntax, tooDeep } from './syntax.ts';

export type Json = null | string | number | boolean | Json[] | { [key: string]: Json };
export type JsonMap = { [key: string]: Json };

export interface Place {
  readonly line: number;
  readonly col: number;
}

export interface YamlFile {
  /** Undefined when there is nothing to go on with (no YAML, or empty). */
  readonly data: JsonMap | undefined;
  readonly problems: readonly Problem[];
  /** Place of a scalar, of the key of a larger value, or of the nearest parent of what isn't there. */
  at(path: Path): Place;
  /** Place of the key itself. */
  keyAt(path: Path): Place;
  /** How many values it holds, aliases followed. */
  readonly nodes: number;
}

/** Aliases multiply: the limits hold for the file after they have been followed. */
const MOST_ALIASES = 100;
/** Values of a whole inventory: thousands of containers. */
export const MOST_NODES = 250_000;
const DEEPEST = 32;
/** One wrong bracket makes the parser complain of everything behind it. */
const MOST_SYNTAX_PROBLEMS = 3;
const MOST_PROBLEMS = 200;

type Report = (offset: number, path: Path, message: string, fix: string) => void;

/**
 * Reads one YAML document. Never throws: everything that is wrong with it is in `problems`. `most`: so many values it may
 * hold.
 */
export function readYaml(file: string, text: string, most = MOST_NODES): YamlFile {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const places = new Places(lines);
  const report: Report = (offset, path, message, fix) => {
    problems.push({ file, ...places.place(offset), path: formatPath(path), message, fix });
    if (problems.length >= MOST_PROBLEMS) throw new LimitReached();
  };
  const walker = new Walker(places, report, most);
  const data = parse(text, lines, walker, report);
  return {
    data,
    problems,
    at: (path) => places.at(path),
    keyAt: (path) => places.keyAt(path),
    nodes: walker.nodes,
  };
}

function parse(text: string, lines: LineCounter, walker: Walker, report: Report): JsonMap | undefined {
  const deep = tooDeep(text);
  if (deep !== undefined) {
    lines.addNewLine(0);
    for (let at = text.indexOf('\n'); at !== -1 && at < deep; at = text.indexOf('\n', at + 1))
      lines.addNewLine(at + 1);
    report(deep, [], 'is nested too deeply', `use at most ${DEEPEST} levels`);
    return undefined;
  }
  let document;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
    });
  } catch {
    // The parser is recursive: some ways to nest are only noticed here. Its words may repeat a secret.
    report(0, [], "can't be read as YAML (nested too deeply, or worse)", 'write plain YAML');
    return undefined;
  }
  for (const error of document.errors.slice(0, MOST_SYNTAX_PROBLEMS)) {
    const { message, fix } = describeSyntax(error.code);
    report(error.pos[0], [], message, fix);
  }
  if (document.errors.length > 0) return undefined;
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) {
    report(0, [], 'is empty', 'start with `cluster: NAME`, or delete the file');
    return undefined;
  }
  if (!isMap(root)) {
    report(root.range?.[0] ?? 0, [], 'must be a mapping', 'start with `cluster: NAME`');
    return undefined;
  }
  const data = walker.walk(root, []);
  return isJsonMap(data) ? data : undefined;
}

/** Narrows to a mapping. */
export function isJsonMap(value: Json | undefined): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Remembers where each path of the data was written. */
class Places {
  readonly #lines: LineCounter;
  readonly #values = new Map<string, number>();
  readonly #keys = new Map<string, number>();
  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), col: Math.max(1, col) };
  }

  note(path: Path, keyOffset: number, valueOffset: number): void {
    this.#keys.set(path.join('\u0000'), keyOffset);
    this.#values.set(path.join('\u0000'), valueOffset);
  }

  at(path: Path): Place {
    return this.#find(this.#values, path);
  }

  keyAt(path: Path): Place {
    return this.#find(this.#keys, path);
  }

  #find(table: ReadonlyMap<string, number>, path: Path): Place {
    for (let length = path.length; length > 0; length--) {
      const offset = table.get(path.slice(0, length).join('\u0000'));
      if (offset !== undefined) return this.place(offset);
    }
    return this.place(0);
  }
}

/** Thrown to leave the walk of a file that breaks a limit; never leaves this file. */
class LimitReached extends Error {}

class Walker {
  readonly #places: Places;
  readonly #report: Report;
  readonly #anchors = new Map<string, Node>();
  readonly #open = new Set<Node>();
  readonly #most: number;
  #aliases = 0;
  nodes = 0;
  constructor(places: Places, report: Report, most: number) {
    this.#places = places;
    this.#report = report;
    this.#most = most;
  }

  walk(root: Node, path: Path): Json | undefined {
    try {
      return this.#value(root, path, 0);
    } catch (error) {
      if (error instanceof LimitReached) return undefined;
      throw error;
    }
  }

  #stop(offset: number, path: Path, message: string, fix: string): never {
    this.#report(offset, path, message, fix);
    throw new LimitReached();
  }

  #value(node: Node | null, path: Path, fallback: number): Json {
    const offset = node?.range?.[0] ?? fallback;
    if (++this.nodes > this.#most)
      this.#stop(
        offset,
        path,
        `is where the inventory holds more than ${MOST_NODES} values`,
        'split it into several inventories',
      );
    if (path.length > DEEPEST)
      this.#stop(offset, path.slice(0, 3), 'is nested too deeply', `use at most ${DEEPEST} levels`);
    if (node === null) return null;
    if (isAlias(node)) return this.#alias(node.source, offset, path);
    if (node.tag !== undefined)
      this.#report(offset, path, 'has a YAML tag', 'write the plain value without the !tag');
    if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined)
      this.#anchors.set(node.anchor, node);
    this.#open.add(node);
    try {
      if (isMap(node)) return this.#map(node.items, path, offset);
      if (isSeq(node)) return node.items.map((item, index) => this.#item(item, [...path, index], offset));
      return isScalar(node) ? this.#scalar(node.value, path, offset) : null;
    } finally {
      this.#open.delete(node);
    }
  }

  #alias(name: string, offset: number, path: Path): Json {
    if (++this.#aliases > MOST_ALIASES) {
      this.#stop(
        offset,
        path,
        `uses more than ${MOST_ALIASES} aliases`,
        'use `defaults` for what containers have in common',
      );
    }
    const target = this.#anchors.get(name);
    if (target === undefined || this.#open.has(target)) {
      this.#stop(offset, path, 'is an alias of a value that it is part of', 'write the value out');
    }
    return this.#value(target, path, offset);
  }

  #item(item: unknown, path: Path, fallback: number): Json {
    const node = isNodeLike(item) ? item : null;
    const offset = node?.range?.[0] ?? fallback;
    this.#places.note(path, offset, offset);
    return this.#value(node, path, offset);
  }

  #map(items: readonly Pair[], path: Path, fallback: number): JsonMap {
    const result: JsonMap = {};
    for (const { key: keyNode, value } of items) {
      const offset = isNodeLike(keyNode) ? (keyNode.range?.[0] ?? fallback) : fallback;
      const key = this.#key(keyNode, offset, path);
      if (key === undefined) continue;
      const here = [...path, key];
      if (Object.hasOwn(result, key)) {
        const { line } = this.#places.keyAt(here);
        this.#report(offset, here, `is given twice (first in line ${line})`, 'keep one of them');
        continue;
      }
      const valueNode = isNodeLike(value) ? value : null;
      // A large value is shown at its key: it begins on a later line, often far from what is wrong.
      const scalar = isScalar(valueNode) && valueNode.value !== null;
      this.#places.note(here, offset, scalar ? (valueNode.range?.[0] ?? offset) : offset);
      result[key] = this.#value(valueNode, here, offset);
    }
    return result;
  }

  #key(node: unknown, offset: number, path: Path): string | undefined {
    if (!isScalar(node) || node.value === null || typeof node.value === 'object') {
      this.#report(offset, path, 'has a key that is not plain text', 'write `key: value`');
      return undefined;
    }
    const key = typeof node.value === 'string' ? node.value : (node.source ?? '');
    if (key === '<<') {
      this.#report(
        offset,
        [...path, key],
        'is a YAML merge key, which is not supported',
        'use `defaults` instead',
      );
      return undefined;
    }
    if (isReserved(key)) {
      this.#report(offset, path, `has the key ${quoted(key)}, which is reserved`, 'choose another name');
      return undefined;
    }
    if (hasUnprintable(key)) {
      this.#report(offset, path, `has the key ${quoted(key)} with control characters in it`, 'remove them');
      return undefined;
    }
    return key;
  }

  #scalar(value: unknown, path: Path, offset: number): Json {
    if (typeof value === 'string') {
      if (hasUnprintable(value, '\n\t')) {
        this.#report(offset, path, 'contains control characters', 'write printable text');
      }
      return value;
    }
    if (value === null || typeof value === 'number' || typeof value === 'boolean') return value;
    this.#report(offset, path, 'is neither text, a number, true nor false', 'write a plain value');
    return null;
  }
}

function isNodeLike(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value);
}
