/** gRPC servers and clients for tests, on grpc-js; messages are plain text. */
import { Client, credentials, Metadata, Server, ServerCredentials, status as statusCodes } from '@grpc/grpc-js';
import type { CallOptions, ServiceDefinition, ServiceError, UntypedServiceImplementation } from '@grpc/grpc-js';

const PATHS = {
  unary: '/test.Echo/Unary',
  upload: '/test.Echo/Upload',
  download: '/test.Echo/Download',
  chat: '/test.Echo/Chat',
};
const toBytes = (text: string): Buffer => Buffer.from(text);
const toText = (bytes: Buffer): string => bytes.toString();

function method(path: string, requestStream: boolean, responseStream: boolean) {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: toBytes,
    requestDeserialize: toText,
    responseSerialize: toBytes,
    responseDeserialize: toText,
  };
}

const SERVICE: ServiceDefinition = {
  unary: method(PATHS.unary, false, false),
  upload: method(PATHS.upload, true, false),
  download: method(PATHS.download, false, true),
  chat: method(PATHS.chat, true, true),
};

/** What a server gives back for a unary call: a text, an error (trailers only), or nothing at all. */
export type Answer = { readonly text: string } | { readonly code: number; readonly details: string } | 'never';

export interface GrpcBackend {
  readonly pod: string;
  readonly port: number;
  /** Metadata of the calls so far. */
  readonly calls: Metadata[];
  stop(): Promise<void>;
}

/** A call that is cut off ends its loop by an error that nobody waits for: its client sees what has become of it. */
function inBackground(task: () => Promise<void>): void {
  task().catch(() => undefined);
}

function serverCredentials(pair?: { readonly chain: string; readonly key: string }): ServerCredentials {
  if (pair === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(pair.chain), private_key: Buffer.from(pair.key) },
  ]);
}

/** `pair`: it speaks TLS. `answer` gives what a unary call gets, and metadata that is sent with it. */
export async function startGrpcBackend(
  pod: string,
  answer: (text: string, metadata: Metadata) => { readonly answer: Answer; readonly metadata?: Metadata } = (text) => ({
    answer: { text: `${pod}: ${text}` },
  }),
  pair?: { readonly chain: string; readonly key: string },
): Promise<GrpcBackend> {
  const calls: Metadata[] = [];
  const implementation: UntypedServiceImplementation = {
    unary: (
      call: { request: string; metadata: Metadata; sendMetadata(metadata: Metadata): void },
      done: (error: Partial<ServiceError> | null, value?: string, trailer?: Metadata) => void,
    ) => {
      calls.push(call.metadata);
      const { answer: given, metadata } = answer(call.request, call.metadata);
      if (given === 'never') return;
      if ('code' in given)
        return done({ code: given.code, details: given.details, metadata: metadata ?? new Metadata() });
      if (metadata !== undefined) call.sendMetadata(metadata);
      const trailer = new Metadata();
      trailer.set('x-trailer', pod);
      done(null, given.text, trailer);
    },
    upload: (call: AsyncIterable<string>, done: (error: null, value: string) => void) => {
      inBackground(async () => {
        let bytes = 0;
        for await (const text of call) bytes += text.length;
        done(null, `${pod}: ${bytes}`);
      });
    },
    download: (call: {
      request: string;
      write(text: string): boolean;
      end(): void;
      once(event: 'drain', then: () => void): void;
    }) => {
      inBackground(async () => {
        for (let i = 0; i < Number(call.request); i++)
          if (!call.write(`${pod}: ${i} ${'x'.repeat(1000)}`))
            await new Promise<void>((resolve) => call.once('drain', resolve));
        call.end();
      });
    },
    chat: (call: AsyncIterable<string> & { write(text: string): boolean; end(): void }) => {
      inBackground(async () => {
        for await (const text of call) call.write(`${pod}: ${text}`);
        call.end();
      });
    },
  };
  const server = new Server();
  server.addService(SERVICE, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', serverCredentials(pair), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    pod,
    port,
    calls,
    stop: async () => {
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    },
  };
}

export interface UnaryResult {
  readonly text: string | undefined;
  /** gRPC status. */
  readonly code: number;
  readonly details: string;
  /** Of the head, and of the trailers. */
  readonly metadata: Metadata;
  readonly trailers: Metadata;
}

export class GrpcClient {
  readonly #client: Client;

  /** @param ca PEM; undefined = in plain text */
  constructor(port: number, authority: string, ca?: string) {
    const secure = ca === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(ca));
    this.#client = new Client(`127.0.0.1:${port}`, secure, {
      'grpc.default_authority': authority,
      'grpc.ssl_target_name_override': authority,
      'grpc.enable_retries': 0,
    });
  }

  async unary(
    text: string,
    given: Readonly<Record<string, string>> = {},
    options: CallOptions = {},
  ): Promise<UnaryResult> {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(given)) metadata.set(name, value);
    return await new Promise((resolve) => {
      let head = new Metadata();
      let result: string | undefined;
      let failure: ServiceError | null = null;
      const call = this.#client.makeUnaryRequest(
        PATHS.unary,
        toBytes,
        toText,
        text,
        metadata,
        options,
        (error, value) => {
          failure = error;
          result = value;
        },
      );
      call.on('metadata', (received) => (head = received));
      call.on('status', ({ code, details, metadata: trailers }) => {
        // The callback comes first or last, as the library likes.
        setImmediate(() => resolve({ text: result, code: failure?.code ?? code, details, metadata: head, trailers }));
      });
    });
  }

  async upload(texts: Iterable<string>): Promise<string> {
    return await new Promise((resolve, reject) => {
      const call = this.#client.makeClientStreamRequest(
        PATHS.upload,
        toBytes,
        toText,
        (error: ServiceError | null, value?: string) => (error === null ? resolve(value ?? '') : reject(error)),
      );
      for (const text of texts) call.write(text);
      call.end();
    });
  }

  async download(count: number): Promise<string[]> {
    const call = this.#client.makeServerStreamRequest(PATHS.download, toBytes, toText, String(count));
    return (await call.toArray()) as string[];
  }

  chat() {
    return this.#client.makeBidiStreamRequest(PATHS.chat, toBytes, toText);
  }

  close(): void {
    this.#client.close();
  }
}

export { Metadata, statusCodes };
