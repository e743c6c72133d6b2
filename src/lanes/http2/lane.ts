/** What the connections of a worker's HTTP/2 lane have in common. */
import type { HeadLimits } from '../../http1/limits.ts';
import { DEFAULT_LIMITS } from '../../http2/limits.ts';
import type { Http2Limits } from '../../http2/limits.ts';
import type { TakeReads } from '../../io/take-reads.ts';
import type { LaneContext } from '../context.ts';
import type { OpenConnection } from '../open-connection.ts';
import { Spares } from '../spares.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';
import { StreamClient } from './stream-client.ts';

export interface Http2LaneOptions {
  readonly ctx: LaneContext;
  readonly takeReads: TakeReads;
  readonly limits: HeadLimits;
  readonly connections: Set<OpenConnection>;
  readonly scheme: 'http' | 'https';
  /** Takes over a stream that asks for a WebSocket connection. */
  readonly upgrade: (request: UpgradeRequest) => void;
  /** A connection that was made for one host may ask for another: they have the same certificate. */
  readonly sameCertificate: (sni: string, host: string) => boolean;
}

export class Http2Lane {
  readonly options: Http2LaneOptions;
  readonly limits: Http2Limits;
  readonly streams: Spares<StreamClient>;

  constructor(options: Http2LaneOptions) {
    this.options = options;
    const { ctx, limits } = options;
    const { head, headers, target } = limits;
    this.limits = { ...DEFAULT_LIMITS, headerList: head, headers, target };
    this.streams = new Spares(() => new StreamClient(ctx, limits));
  }
}
