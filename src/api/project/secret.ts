/** Projects a Secret. No value, not even a part of one, ever goes into a message. */
import type { Meta, Secret } from '../../model/resources.ts';
import type { ObjectFields, Report } from './fields.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function projectSecret(object: ObjectFields, meta: Meta, report: Report): Secret {
  const data: [string, Uint8Array][] = [];
  const encoded = object.object('data');
  for (const key of Object.keys(encoded?.raw ?? {})) {
    const value = encoded?.string(key);
    if (value === undefined) continue;
    const text = value.replaceAll(/[\r\n]/g, '');
    if (BASE64.test(text)) data.push([key, Buffer.from(text, 'base64')]);
    else report.error(`data[${key}]`, 'this is not base64; encode the value, or put it under `stringData` as it is');
  }
  // As in the API, stringData wins over data of the same key.
  const plain = object.object('stringData');
  for (const key of Object.keys(plain?.raw ?? {})) {
    const value = plain?.string(key);
    if (value !== undefined) data.push([key, Buffer.from(value, 'utf8')]);
  }
  return { kind: 'Secret', meta, type: object.string('type') || 'Opaque', data: Object.fromEntries(data) };
}
