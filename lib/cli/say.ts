import { redact } from '../redact.ts';
import type { ProxwardenError } from '../errors.ts';
import { InventoryError } from '../inventory/problems.ts';
import { wrapLines } from '../tell/wrap.ts';
import { oneLine } from '../text.ts';
import type { Io } from './command.ts';

/** A sentence for people on stderr: without secrets, and on a terminal broken between words. */
export function say(io: Io, text: string): void {
  const clean = redact(text);
  io.err(io.tty ? wrapLines(clean, io.columns) : clean);
}

/** A result in sentences, on stdout; broken between words on a terminal. Tables and JSON go to `io.out` as they are. */
export function show(io: Io, text: string): void {
  io.out(io.tty ? wrapLines(text, io.columns) : text);
}

/** Warnings that are about the run as a whole. */
export function warn(io: Io, texts: readonly string[]): void {
  for (const text of texts) say(io, `warning: ${oneLine(text)}`);
}

/** Why a command has failed, and what to do next. */
export function sayFailure(io: Io, error: ProxwardenError): void {
  say(io, `proxwarden: ${error instanceof InventoryError ? error.message : oneLine(error.message)}`);
  if (error.hint !== undefined) say(io, `  → ${oneLine(error.hint)}`);
}
