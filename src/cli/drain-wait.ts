/** Follows a pod's drain until it has no work left, over questions that get no answer. */
import type { CliIo } from './io.ts';

/** As `/api/v1/drain` answers. */
export interface Progress {
  readonly sessions: number;
  readonly inFlight: number;
  readonly upgraded: number;
  readonly done: boolean;
  readonly replicas?: { readonly asked: number; readonly answered: number };
}

export interface DrainWait {
  readonly ask: () => Promise<Progress>;
  /** Until the next question; may reject when `stopped` is aborted. */
  readonly pause: () => Promise<unknown>;
  readonly stopped: AbortSignal;
  readonly io: Pick<CliIo, 'out' | 'err'>;
}

/** Questions without an answer in a row; controllers may be replaced while a drain is followed. */
const LOST_AT_MOST = 10;
/** Right after the mark the controllers may not have seen it yet. */
const IDLE_TWICE = 2;

/** The exit code: 0 = no work left, 1 = nobody answers any more, or it was stopped. */
export async function followDrain({ ask, pause, stopped, io }: DrainWait): Promise<number> {
  let idle = 0;
  let lost = 0;
  let told = '';
  while (!stopped.aborted) {
    try {
      const progress = await ask();
      lost = 0;
      idle = progress.done ? idle + 1 : 0;
      const line = textOf(progress);
      if (line !== told) io.out(`${line}\n`);
      told = line;
      if (idle >= IDLE_TWICE) return 0;
    } catch (error) {
      if (stopped.aborted) break;
      lost++;
      idle = 0;
      const why = error instanceof Error ? error.message : String(error);
      io.err(`holdfast: no answer (${lost} of ${LOST_AT_MOST}): ${why}\n`);
      if (lost === LOST_AT_MOST) {
        io.err('holdfast: it is not known whether the pod still has work; the mark stays, so ask again with --wait\n');
        return 1;
      }
    }
    await pause().catch(() => undefined);
  }
  return 1;
}

function textOf({ sessions, inFlight, upgraded, done, replicas }: Progress): string {
  const silent = replicas === undefined ? 0 : replicas.asked - replicas.answered;
  const waiting = silent > 0 ? `, ${silent} of ${replicas?.asked ?? 0} replicas do not answer` : '';
  return `${sessions} sessions, ${inFlight} requests in flight, ${upgraded} upgraded connections${waiting}${done ? ': no work left' : ''}`;
}
