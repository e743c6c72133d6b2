/** The cases about every limit, with backends over HTTPS. */
import { backendsOverHttps } from '../lab.ts';

backendsOverHttps();
await import('../limits.test.ts');
