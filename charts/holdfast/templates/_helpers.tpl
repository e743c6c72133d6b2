{{/* Names and labels that several objects share. */}}
{{- define "holdfast.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "holdfast.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "holdfast.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "holdfast.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Cluster-wide objects carry the namespace too: two releases of one name do not meet. */}}
{{- define "holdfast.clusterName" -}}
{{- if eq .Release.Namespace (include "holdfast.fullname" .) -}}
{{- include "holdfast.fullname" . -}}
{{- else -}}
{{- printf "%s:%s" .Release.Namespace (include "holdfast.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.selectorLabels" -}}
app.kubernetes.io/name: {{ include "holdfast.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "holdfast.labels" -}}
{{ include "holdfast.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "holdfast.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "holdfast.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{/* What a pod of the controller holds, the same for a Deployment and a DaemonSet. */}}
{{- define "holdfast.podTemplate" -}}
metadata:
  labels:
    {{- include "holdfast.selectorLabels" . | nindent 4 }}
    app.kubernetes.io/component: controller
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "holdfast.serviceAccountName" . }}
  # Variables named HOLDFAST_… are settings; those that Kubernetes makes of Services are not wanted.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .Values.shutdown.delay .Values.shutdown.grace 10 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: holdfast
      image: {{ include "holdfast.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - run
        - --controller-name={{ .Values.controllerName }}
        - --ingress-class={{ .Values.ingressClass.name }}
        {{- if .Values.watchIngressWithoutClass }}
        - --watch-ingress-without-class
        {{- end }}
        {{- if .Values.watchNamespaces }}
        - --watch-namespaces={{ join "," .Values.watchNamespaces }}
        {{- end }}
        {{- if not .Values.podWatch }}
        - --no-pod-watch
        {{- end }}
        {{- with .Values.defaultBackend }}
        - --default-backend={{ . }}
        {{- end }}
        {{- with .Values.trustedProxies }}
        - --trusted-proxies={{ join "," . }}
        {{- end }}
        {{- if .Values.h2c }}
        - --h2c
        {{- end }}
        {{- if .Values.proxyProtocol }}
        - --proxy-protocol
        {{- end }}
        - --public-http-port={{ int .Values.service.httpPort }}
        - --public-https-port={{ int .Values.service.httpsPort }}
        {{- with .Values.rbac.secretNames }}
        - --tls-secret-names={{ join "," . }}
        {{- end }}
        {{- with .Values.defaultTLSSecret }}
        - --default-tls-secret=$(POD_NAMESPACE)/{{ . }}
        {{- end }}
        - --admin-address=[::]:9090
        - --workers={{ int .Values.workers }}
        - --session-keys-secret=$(POD_NAMESPACE)/{{ .Values.sessionKeys.secretName }}
        - --replicas-service=$(POD_NAMESPACE)/{{ include "holdfast.fullname" . }}-replicas
        - --leader-lease=$(POD_NAMESPACE)/{{ include "holdfast.fullname" . }}-leader
        {{- if .Values.publish.addresses }}
        - --publish-address={{ join "," .Values.publish.addresses }}
        {{- else if .Values.publish.service }}
        - --publish-service=$(POD_NAMESPACE)/{{ include "holdfast.fullname" . }}
        {{- end }}
        {{- if .Values.publish.removeOnShutdown }}
        - --remove-status-on-shutdown
        {{- end }}
        - --shutdown-delay={{ int .Values.shutdown.delay }}s
        - --shutdown-grace={{ int .Values.shutdown.grace }}s
        - --log-level={{ .Values.logLevel }}
        - --access-log={{ .Values.accessLog }}
        {{- range .Values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        - name: POD_NAME
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
        - name: POD_NAMESPACE
          valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
        {{- $given := list }}
        {{- range .Values.extraEnv }}{{ $given = append $given .name }}{{ end }}
        # Less memory: by default the young generation of each thread grows to 48 MiB, and the C library keeps pools for each
        # core and what large messages came in. What extraEnv gives by the same name is taken instead.
        {{- range $name, $value := dict "NODE_OPTIONS" "--max-semi-space-size=1" "MALLOC_ARENA_MAX" "2" "MALLOC_MMAP_THRESHOLD_" "131072" }}
        {{- if not (has $name $given) }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
        {{- end }}
        {{- if .Values.adminTokenSecret }}
        # As a variable, so that commands that run in the pod know it too.
        - name: HOLDFAST_ADMIN_TOKEN_FILE
          value: /etc/holdfast/admin/token
        {{- end }}
        {{- with .Values.sessionStore }}
        {{- if .secretName }}
        - name: HOLDFAST_SESSION_STORE
          valueFrom: { secretKeyRef: { name: {{ .secretName }}, key: {{ .secretKey }} } }
        {{- else if .url }}
        - name: HOLDFAST_SESSION_STORE
          value: {{ .url | quote }}
        {{- end }}
        {{- if .caSecretName }}
        - name: NODE_EXTRA_CA_CERTS
          value: /etc/holdfast/session-store/ca.crt
        {{- end }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if or .Values.adminTokenSecret .Values.sessionStore.caSecretName }}
      volumeMounts:
        {{- if .Values.adminTokenSecret }}
        - { name: admin-token, mountPath: /etc/holdfast/admin, readOnly: true }
        {{- end }}
        {{- if .Values.sessionStore.caSecretName }}
        - { name: session-store-ca, mountPath: /etc/holdfast/session-store, readOnly: true }
        {{- end }}
      {{- end }}
      ports:
        - name: http
          containerPort: 8080
          {{- with .Values.hostPort.http }}
          hostPort: {{ int . }}
          {{- end }}
        - name: https
          containerPort: 8443
          {{- with .Values.hostPort.https }}
          hostPort: {{ int . }}
          {{- end }}
        - name: admin
          containerPort: 9090
      livenessProbe:
        httpGet: { path: /healthz, port: admin }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: admin }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
  {{- if or .Values.adminTokenSecret .Values.sessionStore.caSecretName }}
  volumes:
    {{- with .Values.adminTokenSecret }}
    - name: admin-token
      secret: { secretName: {{ . }} }
    {{- end }}
    {{- with .Values.sessionStore.caSecretName }}
    - name: session-store-ca
      secret: { secretName: {{ . }}, items: [{ key: ca.crt, path: ca.crt }] }
    {{- end }}
  {{- end }}
  {{- if .Values.topologySpread }}
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "holdfast.selectorLabels" $ | nindent 10 }}
          app.kubernetes.io/component: controller
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
