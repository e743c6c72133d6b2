/** What is written for a request: plain data, no sockets. */

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export function plain(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body };
}

export function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: JSON.stringify(value) + '\n' };
}

export function errorAnswer(status: number, message: string): Answer {
  return json(status, { error: message });
}
