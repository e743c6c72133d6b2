/** The cases about where messages begin and end, with backends over HTTPS. */
import { backendsOverHttps } from '../lab.ts';

backendsOverHttps();
await import('../framing.test.ts');
