/** An HTTP client for tests: one keep-alive connection, a cookie jar when wanted, and the raw Set-Cookie lines. */
import { Agent, request as httpRequest } from 'node:http';
import type { Described } from './backend.ts';
import { closeAtEnd } from './cleanup.ts';

export interface ClientOptions {
  /** Of the proxy; default: 127.0.0.1. */
  readonly address?: string;
  /** Value of Host; default `web.test`. */
  readonly host?: string;
  /** Keeps cookies between requests. Default false. */
  readonly jar?: boolean;
  /** Connects from this address. */
  readonly from?: string;
  /** One connection for all requests (default), or a new one for each. */
  readonly keepAlive?: boolean;
}

export interface Ask {
  readonly method?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export class Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Raw Set-Cookie lines, in order. */
  readonly setCookies: readonly string[];
  readonly text: string;

  constructor(status: number, headers: Answer['headers'], text: string) {
    this.status = status;
    this.headers = headers;
    this.setCookies = (headers['set-cookie'] as string[] | undefined) ?? [];
    this.text = text;
  }

  /** The default backend's description; fails when it is not one. */
  get described(): Described {
    if (this.status !== 200) throw new Error(`status ${this.status}: ${this.text}`);
    return JSON.parse(this.text) as Described;
  }

  /** The pod that answered. */
  get pod(): string {
    return this.described.pod;
  }
}

/** Client of the proxy on `port`. */
export class Client {
  readonly cookies = new Map<string, string>();
  /** The port may change: another process takes over. */
  port: number;
  readonly #options: ClientOptions;
  readonly #agent: Agent;

  constructor(port: number, options: ClientOptions = {}) {
    this.port = port;
    this.#options = options;
    this.#agent = new Agent({ keepAlive: options.keepAlive ?? true, maxSockets: 1 });
    closeAtEnd(async () => this.close());
  }

  get cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async get(path = '/', headers: Ask['headers'] = {}): Promise<Answer> {
    return await this.ask(path, { headers });
  }

  async ask(path: string, { method = 'GET', host, headers = {}, body }: Ask): Promise<Answer> {
    const { jar = false, from, host: usual = 'web.test', address = '127.0.0.1' } = this.#options;
    const cookie: Record<string, string> = jar && this.cookies.size > 0 ? { cookie: this.cookieHeader } : {};
    const answer = await new Promise<Answer>((resolve, reject) => {
      const request = httpRequest(
        {
          host: address,
          port: this.port,
          path,
          method,
          agent: this.#agent,
          headers: { host: host ?? usual, ...cookie, ...headers },
          ...(from === undefined ? {} : { localAddress: from }),
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('end', () => resolve(new Answer(response.statusCode ?? 0, response.headers, text)));
          response.on('error', reject);
        },
      );
      request.on('error', reject);
      request.end(body);
    });
    if (jar) this.storeCookies(answer.setCookies);
    return answer;
  }

  close(): void {
    this.#agent.destroy();
  }

  storeCookies(lines: readonly string[]): void {
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^=;]+)=([^;]*)/.exec(line) ?? [];
      this.cookies.set(name, value);
    }
  }
}

/** The value that one of the Set-Cookie lines gives the cookie; undefined = none does. */
export function setCookieValue(answer: Answer, name: string): string | undefined {
  const line = answer.setCookies.find((candidate) => candidate.startsWith(`${name}=`));
  return line?.slice(name.length + 1).split(';', 1)[0];
}
