/** Reads the annotations of an Ingress: settings, problems, and whether the Ingress must be closed. */
import type { Canary } from '../model/canary.ts';
import type { ObjectRef } from '../model/ids.ts';
import { nearest } from '../model/nearest.ts';
import type { Problem } from '../model/problem.ts';
import type { Meta } from '../model/resources.ts';
import { type BackendWish, isBackendAnnotation, readBackend } from './annotations/backend.ts';
import { isCanaryAnnotation, readCanary } from './annotations/canary.ts';
import { fieldOf, fieldOfSetting } from './annotations/field.ts';
import { consequence, isForeign, NGINX_PREFIX, reportForeign, restricts } from './annotations/foreign.ts';
import { policyFromAnnotations } from './annotations/spec.ts';
import { ANNOTATIONS, type AnnotationSettings, PREFIX, type SettingName, SETTING_NAMES } from './annotations/table.ts';
import { Report } from './project/fields.ts';
import { type Finding, validateSpec } from './validate.ts';

export { policyFromAnnotations } from './annotations/spec.ts';
export { ANNOTATIONS } from './annotations/table.ts';

export interface AnnotationsRead {
  readonly settings: AnnotationSettings;
  readonly problems: readonly Problem[];
  /** An annotation that restricts access cannot be honoured: the routes of the Ingress must answer 503. */
  readonly closes: boolean;
  /** undefined = it is no canary. */
  readonly canary: Canary | undefined;
  readonly backend: BackendWish;
}

export interface AnnotationOptions {
  /** Restrictions that cannot be honoured are reported and do not close the Ingress. */
  readonly allowUnsupportedAnnotations?: boolean;
}

const BY_NAME: ReadonlyMap<string, SettingName> = new Map(
  SETTING_NAMES.map((setting) => [PREFIX + ANNOTATIONS[setting].name, setting]),
);
const VALID_NAMES = [...BY_NAME.keys()];

/** A malformed value is a Problem and its default holds; so are unknown names of ours and those that would have no effect. */
export function readAnnotations(meta: Meta, ref: ObjectRef, options: AnnotationOptions = {}): AnnotationsRead {
  const report = new Report(ref, meta.location, meta.lines);
  const open = options.allowUnsupportedAnnotations ?? false;
  const settings: AnnotationSettings = {};
  let closes = false;
  for (const [name, value] of Object.entries(meta.annotations)) {
    if (!name.startsWith(PREFIX) && !name.startsWith(NGINX_PREFIX)) continue;
    const setting = BY_NAME.get(name);
    if (name.startsWith(NGINX_PREFIX) && isReadElsewhere(name.slice(NGINX_PREFIX.length))) continue;
    if (setting !== undefined) closes = readSetting(settings, setting, value, report, open) || closes;
    else if (isForeign(name)) closes = reportForeign(name, value, fieldOf(name), report, open) || closes;
    else reportUnknown(name, report);
  }
  dropIneffective(settings, report);
  dropInvalid(settings, report);
  const canary = readCanary(meta, settings.canaryOverridesSession === true, report);
  const backend = readBackend(meta, settings, report);
  return { settings, problems: report.problems, closes, canary, backend };
}

/** `name`: behind ingress-nginx's prefix. */
function isReadElsewhere(name: string): boolean {
  return isCanaryAnnotation(name) || isBackendAnnotation(name);
}

/** True = it restricts access and is malformed, so the Ingress's routes must not be served. */
function readSetting<K extends SettingName>(
  settings: AnnotationSettings,
  setting: K,
  value: string,
  report: Report,
  open: boolean,
): boolean {
  const { name, schema } = ANNOTATIONS[setting];
  const result = schema.safeParse(value);
  if (result.success) {
    settings[setting] = result.data as AnnotationSettings[K];
    return false;
  }
  const message = result.error.issues[0]?.message ?? 'this value is not known';
  const restrictive = restricts(name, value);
  report.error(fieldOfSetting(setting), restrictive ? `${message}; ${consequence(open)}` : message);
  return restrictive && !open;
}

function reportUnknown(name: string, report: Report): void {
  const valid = VALID_NAMES.map((known) => known.slice(PREFIX.length));
  const guess = nearest(name.slice(PREFIX.length), valid);
  const wanted =
    guess === undefined
      ? `write one of ${VALID_NAMES.map((valid) => `\`${valid}\``).join(', ')}`
      : `did you mean \`${PREFIX}${guess}\`?`;
  report.error(fieldOf(name), `this annotation is not known; ${wanted}`);
}

/** Settings that the chosen affinity does not use are reported and dropped. */
function dropIneffective(settings: AnnotationSettings, report: Report): void {
  if (settings.stickyPolicy !== undefined) {
    for (const setting of SETTING_NAMES) {
      if (setting === 'stickyPolicy' || settings[setting] === undefined) continue;
      if (ANNOTATIONS[setting].audience === 'ingress') continue;
      report.warning(
        fieldOfSetting(setting),
        `this has no effect beside \`${PREFIX}sticky-policy\`; write it into that StickyPolicy instead`,
      );
      Reflect.deleteProperty(settings, setting);
    }
    return;
  }
  const { affinity } = settings;
  if (affinity === 'header' && settings.headerName === undefined) {
    report.error(
      fieldOfSetting('affinity'),
      `the header is not named, so no affinity applies; write \`${PREFIX}header-name: NAME\` beside it`,
    );
    delete settings.affinity;
  }
  for (const setting of SETTING_NAMES) {
    const { audience } = ANNOTATIONS[setting];
    if (settings[setting] === undefined || audience === 'always' || audience === 'ingress') continue;
    const sticky = affinity !== undefined && affinity !== 'none';
    if (audience === 'any' ? sticky : audience === affinity) continue;
    const wanted = audience === 'any' ? 'cookie' : audience;
    report.error(
      fieldOfSetting(setting),
      `this has no effect without its affinity; write \`${PREFIX}affinity: ${wanted}\` beside it, or remove it`,
    );
    Reflect.deleteProperty(settings, setting);
  }
}

/** What the settings make is held to the StickyPolicy schema; what it refuses goes, one setting after the other. */
function dropInvalid(settings: AnnotationSettings, report: Report): void {
  for (;;) {
    const spec = policyFromAnnotations(settings);
    const findings = spec === undefined ? undefined : validateSpec(spec).findings;
    const finding = findings?.[0];
    if (finding === undefined) return;
    const setting = blamed(finding, settings) ?? 'affinity';
    report.error(fieldOfSetting(setting), inAnnotations(finding.message));
    Reflect.deleteProperty(settings, setting);
    // A hash of no header is no affinity.
    if (setting === 'headerName') delete settings.affinity;
    if (setting === 'affinity') return;
  }
}

function blamed(finding: Finding, settings: AnnotationSettings): SettingName | undefined {
  return SETTING_NAMES.find(
    (setting) =>
      setting !== 'affinity' &&
      settings[setting] !== undefined &&
      ANNOTATIONS[setting].specField.length > 0 &&
      ANNOTATIONS[setting].specField.every((step, index) => finding.path[index] === step),
  );
}

/** The schema speaks of StickyPolicy fields; the user wrote annotations. */
function inAnnotations(message: string): string {
  return message
    .replaceAll('`secure: Always`', `\`${PREFIX}cookie-secure: always\``)
    .replaceAll('`idleTimeout`', `\`${PREFIX}idle-timeout\``)
    .replaceAll('`absoluteTimeout`', `\`${PREFIX}absolute-timeout\``)
    .replaceAll('leave `path` and `domains` out', `leave \`${PREFIX}cookie-path\` and \`${PREFIX}cookie-domain\` out`);
}
