/** The CRD as a template of the chart: the same object, switched by `crds.install`, labelled, and kept on uninstall. */
import { stringify } from 'yaml';
import { stickyPolicyCrd } from '../src/api/crd.ts';

const CHART_LABELS = '    {{- include "holdfast.labels" . | nindent 4 }}\n';

export function chartCrd(): string {
  const crd = stickyPolicyCrd();
  const { name, labels } = crd['metadata'] as { name: string; labels: Readonly<Record<string, string>> };
  const metadata = { name, annotations: { 'helm.sh/resource-policy': 'keep' }, labels };
  const text = stringify({ ...crd, metadata }, { lineWidth: 0, aliasDuplicateObjects: false });
  if (text.includes('{{')) throw new Error('the CRD holds {{, which Helm would read as a template');
  // `labels` stands last in metadata: what is inserted before `spec` belongs to it.
  const end = text.indexOf('\nspec:\n') + 1;
  return [
    '{{- /* Written by `npm run generate`; change the schema instead. */ -}}\n',
    '{{- if .Values.crds.install }}\n',
    text.slice(0, end),
    CHART_LABELS,
    text.slice(end),
    '{{- end }}\n',
  ].join('');
}
