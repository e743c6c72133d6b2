/** Browsers: each keeps its cookies and one connection, and asks again and again who answers. */
import { Agent, request } from 'node:http';
import { pause } from './kube.ts';

export interface Answer {
  readonly status: number;
  readonly pod: string;
  readonly setCookie: readonly string[];
  /** What an error says. */
  readonly error: string;
}

export interface Move {
  readonly from: string;
  readonly to: string;
  /** When the answer came; ms. */
  readonly at: number;
}

/** @throws when the connection breaks */
export async function ask(address: string, host: string, cookie = '', agent?: Agent): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const headers = { host, ...(cookie === '' ? {} : { cookie }) };
  const sent = request({ host: address, port: 8080, path: '/', headers, agent, timeout: 15_000 }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => (text += part));
    response.on('error', reject);
    response.on('end', () => {
      const status = response.statusCode ?? 0;
      const pod = status === 200 ? (JSON.parse(text) as { pod: string }).pod : '';
      resolve({ status, pod, setCookie: response.headers['set-cookie'] ?? [], error: status === 200 ? '' : text });
    });
  });
  sent.on('timeout', () => sent.destroy(new Error('no answer within 15 s')));
  sent.on('error', reject);
  sent.end();
  return await promise;
}

export function cookieOf({ setCookie }: Answer): string | undefined {
  return setCookie[0]?.split(';', 1)[0];
}

export class Client {
  readonly failures: string[] = [];
  readonly moves: Move[] = [];
  requests = 0;
  pod = '';
  cookie = '';
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /** Asks the addresses in turn, `pace` ms between two requests, until told to stop. */
  async run(addresses: readonly string[], host: string, pace: number, stop: AbortSignal): Promise<void> {
    for (let turn = 0; !stop.aborted; turn++) {
      await this.#ask(addresses[turn % addresses.length] ?? '', host);
      await pause(pace);
    }
    this.#agent.destroy();
  }

  async #ask(address: string, host: string): Promise<void> {
    this.requests++;
    try {
      const answer = await ask(address, host, this.cookie, this.#agent);
      if (answer.status !== 200)
        this.failures.push(`${address} answered ${answer.status} ${answer.error} (session on ${this.pod})`);
      else this.#took(answer);
    } catch (error) {
      this.failures.push(`${address}: ${String(error)} (session on ${this.pod})`);
    }
  }

  #took(answer: Answer): void {
    this.cookie = cookieOf(answer) ?? this.cookie;
    if (this.pod !== '' && answer.pod !== this.pod) {
      this.moves.push({ from: this.pod, to: answer.pod, at: Date.now() });
    }
    this.pod = answer.pod;
  }
}
