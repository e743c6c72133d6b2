/** A client's connection as the worker sees it, whatever it speaks. */
export interface OpenConnection {
  /** Nothing is lost when it is closed now. */
  readonly idle: boolean;
  /** Begun so far. */
  readonly requests: number;
  /** Sends what is written and ends. */
  close(): void;
  /** Cuts it. */
  destroy(): void;
  /** Ends it in a way that makes the client come again; false = not now. */
  shed(): boolean;
}
