/** The shape shared by the projections of all kinds. */
import type { Meta, Resource } from '../../model/resources.ts';
import type { Origin } from '../project.ts';
import type { ObjectFields, Report } from './fields.ts';

/** Reads one kind's fields; undefined = the object cannot be used at all. Whatever is wrong goes to the report. */
export type Projector = (object: ObjectFields, meta: Meta, report: Report, origin: Origin) => Resource | undefined;
