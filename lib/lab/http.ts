import type { LabRequest, LabResponse } from './types.ts';

/** An answer other than 200. `reason` becomes the reason phrase and, unless `bare`, the message of the body. */
export class ApiError extends Error {
  readonly status: number;
  readonly errors: Readonly<Record<string, string>> | undefined;
  /** The body: as Proxmox writes its errors, nothing at all, or the reason as plain text. */
  readonly body: 'json' | 'empty' | 'text';
  constructor(
    status: number,
    reason: string,
    extra: { errors?: Readonly<Record<string, string>>; body?: 'json' | 'empty' | 'text' } = {},
  ) {
    super(reason);
    this.name = 'ApiError';
    this.status = status;
    this.errors = extra.errors;
    this.body = extra.body ?? 'json';
  }
}

/** 400 with one text per wrong parameter. */
export function parameterError(errors: Readonly<Record<string, string>>): ApiError {
  return new ApiError(400, 'Parameter verification failed.', { errors });
}

/** 403 as Proxmox words it; without a path it is bare. */
export function denied(path?: string, privileges?: string): ApiError {
  const where = path === undefined ? '' : ` (${path}, ${privileges ?? ''})`;
  return new ApiError(403, `Permission check failed${where}`);
}

const HEADERS = { server: 'pve-api-daemon/3.0' };
const JSON_TYPE = 'application/json;charset=UTF-8';

export function dataResponse(data: unknown): LabResponse {
  const { total, data: inner } = data instanceof Listing ? data : { total: undefined, data };
  const body = JSON.stringify(total === undefined ? { data: inner ?? null } : { total, data: inner });
  return { status: 200, statusText: 'OK', headers: { ...HEADERS, 'content-type': JSON_TYPE }, body };
}

/** A list answer that also says how many entries there are in all. */
export class Listing {
  readonly data: unknown;
  readonly total: number;
  constructor(data: unknown, total: number) {
    this.data = data;
    this.total = total;
  }
}

export function errorResponse(error: ApiError): LabResponse {
  const base = { status: error.status, statusText: error.message.replaceAll('\n', ' ').trimEnd() };
  const headers = { ...HEADERS, connection: 'close' };
  if (error.body === 'empty') return { ...base, headers, body: '' };
  if (error.body === 'text')
    return {
      ...base,
      headers: { ...headers, 'content-type': 'text/plain' },
      body: error.status === 500 ? `${error.message}\n` : error.message,
    };
  // "not implemented" is the one message that has no newline at its end.
  const message = error.status === 501 ? error.message : `${error.message}\n`;
  const body = JSON.stringify({
    data: null,
    message,
    ...(error.errors === undefined ? {} : { errors: error.errors }),
  });
  return { ...base, headers: { ...headers, 'content-type': JSON_TYPE }, body };
}

/** The parameters of a request as Proxmox sees them: everything is text; lists are joined with NUL. */
export function requestParameters(request: LabRequest): { path: string; given: Map<string, string> } {
  const [rawPath = '', query = ''] = request.path.split('?', 2);
  const given = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query)) append(given, key, value);
  if (request.body !== '') {
    if (request.method === 'DELETE' || request.method === 'GET')
      throw new ApiError(501, `Unexpected content for method '${request.method}'`, { body: 'text' });
    const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
    if (type === 'application/json') jsonParameters(request.body, given);
    else if (type === 'application/x-www-form-urlencoded' || type === '')
      for (const [key, value] of new URLSearchParams(request.body)) append(given, key, value);
    else throw new ApiError(506, `upload 'Content-Type '${type}' not implemented`, { body: 'text' });
  }
  return { path: rawPath, given };
}

function append(given: Map<string, string>, key: string, value: string): void {
  const before = given.get(key);
  given.set(key, before === undefined ? value : `${before}\0${value}`);
}

function jsonParameters(body: string, given: Map<string, string>): void {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    // Perl's parser names the offset where it gave up; the end of the text is the usual one.
    throw new ApiError(
      500,
      `malformed JSON string, neither tag, array, object, number, string or atom, at character offset ${body.length} (before "(end of string)") at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 917.`,
      { body: 'text' },
    );
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return;
  for (const [key, value] of Object.entries(parsed)) given.set(key, jsonText(value));
}

function jsonText(value: unknown): string {
  if (Array.isArray(value)) return value.map(jsonText).join('\0');
  if (value === true) return '1';
  if (value === false) return '0';
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
