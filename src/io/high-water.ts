/** Bytes. Two whole reads may wait for a slow peer before its sender is paused. */
export const WRITE_HIGH_WATER = 128 * 1024;
