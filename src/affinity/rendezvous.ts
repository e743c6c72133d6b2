/** Rendezvous hashing (highest random weight): each key has its own order of all endpoints, the same for every replica. */

/** Two 32-bit seeds of an identity. Both ends of a rolling version must agree on them: changing this moves sessions. */
export function seedsOf(identity: string): [number, number] {
  const words: [number, number] = [0, 0];
  hashText(identity, words);
  return words;
}

/** Two independent signed 32-bit hashes of a text, written to `out[0]` and `out[1]`. */
export function hashText(text: string, out: { 0: number; 1: number }): void {
  let a = 0x9747b28c;
  let b = 0x3c6ef372 ^ text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul(b ^ code, 0x85ebca77);
    b ^= b >>> 13;
  }
  out[0] = finish(a ^ Math.imul(b, 0xc2b2ae3d));
  out[1] = finish(b ^ Math.imul(a, 0x27d4eb2f));
}

/** Weight of a key (two words) at an endpoint (two seeds): a bijective 32-bit mixer with a word of each put in twice. */
export function weight(high: number, low: number, seed0: number, seed1: number): number {
  const x = mix(high, low, seed0, seed1);
  return x ^ (x >>> 16);
}

/** All of it but the last step, which leaves the upper half as it is. */
function mix(high: number, low: number, seed0: number, seed1: number): number {
  let x = high ^ seed0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = ((x ^ (x >>> 15)) + (low ^ seed1)) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x735a2d97);
  return Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
}

/** Whether endpoint `i` outweighs `best`: by weight, and in the rare tie by seeds, which do not depend on any order. */
function wins(seeds: Int32Array, i: number, score: number, best: number, bestScore: number): boolean {
  if (best < 0 || score > bestScore) return true;
  if (score < bestScore) return false;
  const [a0, a1, b0, b1] = [seeds[2 * i] ?? 0, seeds[2 * i + 1] ?? 0, seeds[2 * best] ?? 0, seeds[2 * best + 1] ?? 0];
  return a0 === b0 ? a1 > b1 : a0 > b0;
}

/** First of `indices` in the key's order that `fits` accepts (unset = any); -1 = none. */
export function firstOf(
  seeds: Int32Array,
  indices: Int32Array,
  high: number,
  low: number,
  fits?: (index: number) => boolean,
): number {
  let best = -1;
  let bestScore = 0;
  for (let k = 0; k < indices.length; k++) {
    const i = indices[k] ?? 0;
    const score = weight(high, low, seeds[2 * i] ?? 0, seeds[2 * i + 1] ?? 0);
    if (score < bestScore && best >= 0) continue;
    if (wins(seeds, i, score, best, bestScore) && (fits === undefined || fits(i))) {
      best = i;
      bestScore = score;
    }
  }
  return best;
}

/**
 * As `firstOf` for all endpoints whose seeds these are, as an index into them. The loop of every request with a hashed key:
 * without indices and without a call for ties, of which there is hardly ever one, it takes half the time, and a tenth less
 * since most weights are known to lose by their upper half.
 */
export function firstOfAll(seeds: Int32Array, high: number, low: number): number {
  let best = -1;
  let bestScore = -0x80000000;
  let bestHalf = -0x8000;
  let tied = false;
  for (let at = 0; at < seeds.length; at += 2) {
    const x = mix(high, low, seeds[at]!, seeds[at + 1]!);
    if (x >> 16 < bestHalf) continue;
    const score = x ^ (x >>> 16);
    if (score < bestScore) continue;
    bestHalf = x >> 16;
    tied = score === bestScore;
    best = at;
    bestScore = score;
  }
  if (!tied) return best >> 1;
  const all = Int32Array.from({ length: seeds.length / 2 }, (_, i) => i);
  return firstOf(seeds, all, high, low);
}

function finish(word: number): number {
  let x = word;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}
