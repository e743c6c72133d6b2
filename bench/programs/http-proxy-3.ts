/** A proxy as one writes it with http-proxy-3: a cookie names the target, connections to it are kept. */
import { Agent, createServer } from 'node:http';
import { createProxyServer } from 'http-proxy-3';

interface Options {
  readonly port: number;
  readonly targets: readonly string[];
}

const { port, targets } = JSON.parse(process.argv[2] ?? '') as Options;
const agent = new Agent({ keepAlive: true, maxSockets: 1024, maxFreeSockets: 1024 });
const proxy = createProxyServer({ agent, xfwd: true });
let turn = 0;

const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  const named = Number(/(?:^|; )SRV=s(\d+)/.exec(request.headers.cookie ?? '')?.[1] ?? NaN);
  const index = named < targets.length ? named : turn++ % targets.length;
  const target = targets[index];
  if (target === undefined) throw new Error('no targets');
  if (index !== named) response.setHeader('set-cookie', `SRV=s${index}; path=/; httponly`);
  proxy.web(request, response, { target }, () => response.writeHead(502).end());
});
server.maxRequestsPerSocket = 0;
server.listen(port, '127.0.0.1');
