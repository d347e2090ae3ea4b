{{- define "aurora.name" -}}aurora{{- end }}

{{- define "aurora.labels" -}}
app.kubernetes.io/name: aurora
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "aurora.selector" -}}
app.kubernetes.io/name: aurora
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "aurora.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Cluster-wide objects of two releases must not collide. */}}
{{- define "aurora.clusterName" -}}
{{- if eq .Release.Namespace "aurora-system" }}aurora{{ else }}aurora-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "aurora.env" -}}
- name: AURORA_NAMESPACE
  value: {{ .Release.Namespace | quote }}
{{- if not (hasKey .Values.settings "PROMETHEUS_URL") }}
- name: AURORA_PROMETHEUS_URL
  value: {{ .Values.prometheus.url | quote }}
{{- end }}
- name: AURORA_INDEX_PATH
  value: /var/lib/aurora/index
{{- if not (or (hasKey .Values.settings "STORE_URL") .Values.settingsSecret) }}
- name: AURORA_STORE_URL
  value: sqlite+aiosqlite:////var/lib/aurora/aurora.db
{{- end }}
{{- with .Values.watchNamespaces }}
- name: AURORA_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.webhookHosts }}
- name: AURORA_WEBHOOK_HOSTS
  value: {{ join "," . | quote }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: AURORA_{{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{- define "aurora.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "aurora.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}
