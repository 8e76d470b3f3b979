/** Collects problems and warnings while the files are put together. */
import { formatPath, type Path, type Problem } from './problems.ts';
import { isBroken, type Part } from './parts.ts';

export class Report {
  readonly problems: Problem[] = [];
  readonly warnings: string[] = [];

  /** A problem at a value, or with `isKey` at its key. */
  add(part: Part, path: Path, message: string, fix: string, isKey = false): void {
    const place = isKey ? part.yaml.keyAt(path) : part.yaml.at(path);
    this.problems.push({ file: part.file, ...place, path: formatPath(path), message, fix });
  }

  /** Something is missing. Not said when it was there and wrong, in any of the places where it may be given. */
  missing(part: Part, path: Path, fix: string, elsewhere: readonly (readonly [Part, Path])[] = []): void {
    const places: readonly (readonly [Part, Path])[] = [[part, path], ...elsewhere];
    if (places.some(([where, at]) => isBroken(where, at))) return;
    this.add(part, path, 'is missing', fix);
  }

  warn(text: string): void {
    this.warnings.push(text);
  }
}

/** `inventory/home.yaml:12`, to point to another place. */
export function whereIs(part: Part, path: Path): string {
  return `${part.file}:${part.yaml.keyAt(path).line}`;
}
