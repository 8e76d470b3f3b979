/**
 * One file against the schema. What is wrong is reported and left out, so that the rest can still be checked
 * against the other files: all problems of all files are to be printed at once.
 */
import { findLiteralSecrets } from './literals.ts';
import { findingsOf, toProblems, type Finding } from './issues.ts';
import { formatPath, type Path, type Problem } from './problems.ts';
import { InventoryFile, type InventoryFileInput } from './schema.ts';
import { isJsonMap, type Json, type JsonMap, type YamlFile } from './yaml.ts';

export interface Part {
  readonly file: string;
  readonly yaml: YamlFile;
  /** As written, for what concerns several files even where the schema refuses it. */
  readonly data: JsonMap;
  readonly input: InventoryFileInput;
  /** What had to be left out. */
  readonly broken: readonly Path[];
}

const MOST_ROUNDS = 200;
/** With more of them the file is no inventory; nobody reads them, and the rest isn't looked at. */
const MOST_FINDINGS = 1000;

/** Checks a file's data; `part` is undefined when nothing of it can be used. */
export function readPart(
  file: string,
  yaml: YamlFile,
  data: JsonMap,
): { part: Part | undefined; problems: Problem[] } {
  const rest = structuredClone(data);
  const broken: Path[] = [];
  let findings: Finding[] = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const parsed = InventoryFile.safeParse(rest);
    if (parsed.success) {
      const part: Part = { file, yaml, data, input: parsed.data, broken };
      return { part, problems: toProblems(file, yaml, withSecrets(findings, data)) };
    }
    const found = findingsOf(parsed.error.issues, rest, MOST_FINDINGS + 1);
    if (round === 0) findings = found.slice(0, MOST_FINDINGS);
    if (found.length > MOST_FINDINGS) {
      const fix = `mend the first ${MOST_FINDINGS}; the rest was not looked at`;
      findings.push({ path: [], message: 'holds too many problems', fix, isKey: false });
      break;
    }
    const removed: Path[] = [];
    for (const finding of found) {
      // Two findings in one list: it is gone already, and its parent is not to blame.
      if (removed.some((gone) => gone.every((step, index) => step === finding.path[index]))) continue;
      const path = leaveOut(rest, finding);
      if (path !== undefined) removed.push(path);
      // What was mistyped is not missing as well.
      if (finding.meant !== undefined) broken.push([...finding.path.slice(0, -1), finding.meant]);
    }
    if (removed.length === 0) break;
    broken.push(...removed);
  }
  return { part: undefined, problems: toProblems(file, yaml, withSecrets(findings, data)) };
}

/** A literal in `token:` is reported by the schema already; once is enough. */
function withSecrets(findings: readonly Finding[], data: JsonMap): Finding[] {
  const reported = new Set(findings.map((finding) => formatPath(finding.path)));
  return [
    ...findings,
    ...findLiteralSecrets(data).filter((finding) => !reported.has(formatPath(finding.path))),
  ];
}

/** Removes what a finding is about (of a list: the whole list; of something missing: what misses it). */
function leaveOut(data: JsonMap, finding: Finding): Path | undefined {
  const firstIndex = finding.path.findIndex((step) => typeof step === 'number');
  const path = firstIndex === -1 ? finding.path : finding.path.slice(0, firstIndex);
  for (let length = path.length; length > 0; length--) {
    const parent = mapAt(data, path.slice(0, length - 1));
    const key = path[length - 1];
    if (parent !== undefined && typeof key === 'string' && Object.hasOwn(parent, key)) {
      delete parent[key];
      return path.slice(0, length);
    }
  }
  return undefined;
}

function mapAt(data: JsonMap, path: Path): JsonMap | undefined {
  let value: Json | undefined = data;
  for (const step of path) {
    if (!isJsonMap(value) || typeof step !== 'string' || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return isJsonMap(value) ? value : undefined;
}

/** True when something at, above or below the path was left out: what it says can't be judged. */
export function isBroken(part: Part, path: Path): boolean {
  return part.broken.some((gone) => {
    const shared = Math.min(gone.length, path.length);
    return gone.slice(0, shared).every((step, index) => step === path[index]);
  });
}

/** The mapping of containers as written, those included that the schema refuses. */
export function writtenContainers(part: Part): readonly [string, Json][] {
  const containers = part.data['containers'];
  return isJsonMap(containers) ? Object.entries(containers) : [];
}
