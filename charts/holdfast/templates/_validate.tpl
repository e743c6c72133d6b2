{{/* What a JSON schema cannot say, or not in words that help. */}}
{{- define "holdfast.validate" -}}
{{- $v := .Values -}}
{{- if and $v.autoscaling.enabled (ne $v.kind "Deployment") -}}
{{- fail "autoscaling.enabled: a DaemonSet has one pod on every node and cannot be scaled; set kind: Deployment or autoscaling.enabled: false" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail (printf "autoscaling.minReplicas: %d is more than autoscaling.maxReplicas, %d" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (not (dig "requests" "cpu" "" $v.resources)) -}}
{{- fail "autoscaling.enabled: it measures CPU use against resources.requests.cpu, which is not set" -}}
{{- end -}}
{{- if and $v.ingressClass.default $v.watchNamespaces -}}
{{- fail "ingressClass.default: a default class is cluster-wide and cannot be made when watchNamespaces is set; set watchIngressWithoutClass: true instead" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" $v.ingressClass.name) -}}
{{- fail (printf "ingressClass.name: %q is no name of an object; use lower-case letters, digits, - and ., such as holdfast" $v.ingressClass.name) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z0-9][a-z0-9.-]*/[A-Za-z0-9_./-]+$" $v.controllerName) -}}
{{- fail (printf "controllerName: %q has no domain; write one such as holdfast.dev/ingress-controller" $v.controllerName) -}}
{{- end -}}
{{- if and $v.proxyProtocol (not $v.trustedProxies) -}}
{{- fail "proxyProtocol: only trusted proxies may send the header; set trustedProxies to the networks of your load balancers" -}}
{{- end -}}
{{- range $v.watchNamespaces -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" .) -}}
{{- fail (printf "watchNamespaces: %q is no name of a namespace; use lower-case letters, digits and -" .) -}}
{{- end -}}
{{- end -}}
{{- range $v.rbac.secretNames -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" .) -}}
{{- fail (printf "rbac.secretNames: %q is no name of a Secret; write the name alone, such as shop-tls" .) -}}
{{- end -}}
{{- end -}}
{{- if and $v.defaultBackend (not (regexMatch "^[a-z0-9-]+/[a-z0-9-]+:[a-z0-9-]+$" $v.defaultBackend)) -}}
{{- fail (printf "defaultBackend: %q is not NAMESPACE/NAME:PORT, such as web/fallback:80" $v.defaultBackend) -}}
{{- end -}}
{{- if and $v.defaultTLSSecret (not (regexMatch "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" $v.defaultTLSSecret)) -}}
{{- fail (printf "defaultTLSSecret: %q is no name of a Secret in the controller's own namespace; write the name alone, such as default-tls" $v.defaultTLSSecret) -}}
{{- end -}}
{{- if and (or $v.hostPort.http $v.hostPort.https) (eq $v.kind "Deployment") (gt (int $v.replicas) 1) (not $v.affinity) -}}
{{- fail "hostPort.http: two pods on one node cannot have the same port; set kind: DaemonSet" -}}
{{- end -}}
{{- end -}}
