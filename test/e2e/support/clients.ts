/** Browsers: each keeps its cookies and one connection, and asks again and again who answers. */
import { Agent, request } from 'node:http';
import { pause } from './kube.ts';

export interface Answer {
  readonly status: number;
  readonly pod: string;
  /** Tells a pod of a StatefulSet from the one before it of the same name. */
  readonly uid: string;
  readonly setCookie: readonly string[];
  /** What an error says. */
  readonly error: string;
}

export interface Move {
  /** UIDs. */
  readonly from: string;
  readonly to: string;
  /** When the answer came; ms. */
  readonly at: number;
  /** The cookie that led there: it names the pod that was left. */
  readonly cookie: string;
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
      const { statusCode: status = 0, headers: fields } = response;
      const pod = status === 200 ? (JSON.parse(text) as { pod: string }).pod : '';
      const uid = String(fields['pod-uid'] ?? '');
      resolve({ status, pod, uid, setCookie: fields['set-cookie'] ?? [], error: status === 200 ? '' : text });
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
  /** Where its session is. */
  pod = '';
  uid = '';
  cookie = '';
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /** Asks whoever `addresses` names at the time, in turn, `pace` ms between two requests, until told to stop. */
  async run(addresses: () => readonly string[], host: string, pace: number, stop: AbortSignal): Promise<void> {
    for (let turn = 0; !stop.aborted; turn++) {
      const open = addresses();
      await this.#ask(open[turn % open.length] ?? '', host);
      await pause(pace);
    }
    this.#agent.destroy();
  }

  async #ask(address: string, host: string): Promise<void> {
    this.requests++;
    try {
      const answer = await ask(address, host, this.cookie, this.#agent);
      if (answer.status === 200) this.#took(answer);
      else this.#fail(`${address} answered ${answer.status} ${answer.error}`);
    } catch (error) {
      this.#fail(`${address}: ${String(error)}`);
    }
  }

  #fail(why: string): void {
    this.failures.push(`${new Date().toISOString()} ${why} (session on ${this.pod})`);
  }

  #took(answer: Answer): void {
    const { cookie } = this;
    this.cookie = cookieOf(answer) ?? cookie;
    if (this.uid !== '' && answer.uid !== this.uid) {
      this.moves.push({ from: this.uid, to: answer.uid, at: Date.now(), cookie });
    }
    this.pod = answer.pod;
    this.uid = answer.uid;
  }
}
