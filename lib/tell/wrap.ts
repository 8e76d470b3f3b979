/** Breaking lines between words, for terminals. Pure. */

/** Words in lines no longer than `columns` as far as they allow, each indented; blanks between words become one. */
export function fill(text: string, columns: number, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(/\s+/).filter((w) => w !== '')) {
    if (line !== indent && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** Each line that is too long goes on in further ones, indented by four more than it is itself. */
export function wrapLines(text: string, columns: number): string {
  return text
    .split('\n')
    .flatMap((line) => {
      if (line.length <= columns) return [line];
      // Up to the first break it stays as it is, columns of blanks included.
      const cut = line.lastIndexOf(' ', columns);
      if (cut < 0) return [line];
      const head = line.slice(0, cut).trimEnd();
      const indent = ' '.repeat(line.length - line.trimStart().length + 4);
      return head.trim() === '' ? [line] : [head, ...fill(line.slice(cut), columns, indent)];
    })
    .join('\n');
}
