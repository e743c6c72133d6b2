/** All scenarios of `npm run bench`, in the order in which they run. */
import type { Scenario } from '../support/lab.ts';
import { connections } from './connections.ts';
import { floods } from './floods.ts';
import { growth } from './growth.ts';
import { grpc } from './grpc.ts';
import { http2 } from './http2.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { post } from './post.ts';
import { raw } from './raw.ts';
import { swap } from './swap.ts';
import { tls } from './tls.ts';
import { transfer } from './transfer.ts';
import { websocket } from './websocket.ts';
import { workers } from './workers.ts';

export const SCENARIOS: readonly Scenario[] = [
  raw,
  latency,
  transfer,
  post,
  connections,
  websocket,
  idle,
  workers,
  growth,
  tls,
  http2,
  grpc,
  floods,
  swap,
];
