{{- define "aurora.name" -}}aurora{{- end }}

{{- define "aurora.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "aurora.selector" . }}
{{- end }}

{{- define "aurora.selector" -}}
app.kubernetes.io/name: aurora
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "aurora.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Cluster-wide objects of two releases must not collide. */}}
{{- define "aurora.clusterName" -}}
{{- if eq .Release.Namespace "aurora-system" }}aurora{{ else }}aurora-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{/* What the schema cannot say in a sentence. Each line names the values and what to do. */}}
{{- define "aurora.validate" -}}
{{- $v := .Values }}
{{- $sqlite := eq $v.store.type "sqlite" }}
{{- if and $sqlite (gt (int $v.replicas) 1) }}
{{- fail "replicas is above 1 and SQLite has one writer: set store.type to postgresql with store.urlSecret, or replicas to 1" }}
{{- end }}
{{- if and (not $sqlite) (not $v.store.urlSecret.name) }}
{{- fail "store.type is postgresql: set store.urlSecret.name to a Secret that holds postgresql://user:password@host/database" }}
{{- end }}
{{- if and $sqlite $v.store.urlSecret.name }}
{{- fail "store.urlSecret is for PostgreSQL: set store.type to postgresql, or leave the Secret out" }}
{{- end }}
{{- /* The URL is never repeated: people put passwords into it. */}}
{{- if not (regexMatch "^https?://[^/\\s]+(/\\S*)?$" $v.prometheus.url) }}
{{- fail "prometheus.url is not a URL: write http://host:port or https://host:port" }}
{{- end }}
{{- if regexMatch "^https?://[^/]*@" $v.prometheus.url }}
{{- fail "prometheus.url holds a user or a password: put them into a Secret and name it in prometheus.basicAuthSecret" }}
{{- end }}
{{- if and $v.prometheus.tokenSecret.name $v.prometheus.basicAuthSecret.name }}
{{- fail "prometheus.tokenSecret and prometheus.basicAuthSecret are both set: Prometheus gets one of them, leave the other out" }}
{{- end }}
{{- if and $v.prometheus.headers $v.prometheus.headersSecret.name }}
{{- fail "prometheus.headers and prometheus.headersSecret are both set: put all headers into the Secret" }}
{{- end }}
{{- if and $v.prometheus.ca.secretName $v.prometheus.ca.configMapName }}
{{- fail "prometheus.ca.secretName and prometheus.ca.configMapName are both set: leave one out" }}
{{- end }}
{{- if and $v.watchNamespaces (has "*" $v.watchNamespaces) }}
{{- fail "watchNamespaces lists names: leave it empty for the whole cluster" }}
{{- end }}
{{- range $action, $given := $v.actions }}
{{- range $given.namespaces }}
{{- if and $v.watchNamespaces (ne . "*") (not (has . $v.watchNamespaces)) }}
{{- fail (printf "actions.%s.namespaces names %s, which is not in watchNamespaces: add it there" $action .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "aurora.env" -}}
- name: AURORA_NAMESPACE
  value: {{ .Release.Namespace | quote }}
{{- with .Values.watchNamespaces }}
- name: AURORA_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: AURORA_ACTIONS
  value: {{ include "aurora.actions" . | quote }}
- name: AURORA_CACHE_IMAGE
  value: {{ .Values.actions.cache.image | quote }}
{{- if .Values.actions.cache.exporter }}
- name: AURORA_CACHE_EXPORTER_IMAGE
  value: {{ include "aurora.image" . | quote }}
{{- end }}
{{- end }}

{{/* Actions and their namespaces as one JSON object. */}}
{{- define "aurora.actions" -}}
{{- $allowed := dict }}
{{- range $action, $given := .Values.actions }}
{{- if $given.enabled }}{{ $_ := set $allowed (upper $action) $given.namespaces }}{{ end }}
{{- end }}
{{- $allowed | toJson }}
{{- end }}

{{/* Of the operator alone: Prometheus, records, webhooks. Secrets are named, never held here. */}}
{{- define "aurora.operatorEnv" -}}
{{- $p := .Values.prometheus }}
- name: AURORA_PROMETHEUS_URL
  value: {{ $p.url | quote }}
{{- if $p.tokenSecret.name }}
- name: AURORA_PROMETHEUS_TOKEN_FILE
  value: /etc/aurora/prometheus/token/token
{{- end }}
{{- with $p.basicAuthSecret }}
{{- if .name }}
- name: AURORA_PROMETHEUS_USERNAME
  {{- include "aurora.fromSecret" (list .name .usernameKey) | nindent 2 }}
- name: AURORA_PROMETHEUS_PASSWORD
  {{- include "aurora.fromSecret" (list .name .passwordKey) | nindent 2 }}
{{- end }}
{{- end }}
{{- if or $p.ca.secretName $p.ca.configMapName }}
- name: AURORA_PROMETHEUS_CA_FILE
  value: /etc/aurora/prometheus/ca/ca.crt
{{- end }}
{{- with $p.headers }}
- name: AURORA_PROMETHEUS_HEADERS
  value: {{ toJson . | quote }}
{{- end }}
{{- with $p.headersSecret }}
{{- if .name }}
- name: AURORA_PROMETHEUS_HEADERS
  {{- include "aurora.fromSecret" (list .name .key) | nindent 2 }}
{{- end }}
{{- end }}
- name: AURORA_STORE_URL
{{- if eq .Values.store.type "postgresql" }}
  {{- include "aurora.fromSecret" (list .Values.store.urlSecret.name .Values.store.urlSecret.key) | nindent 2 }}
{{- else }}
  value: sqlite:////var/lib/aurora/aurora.db
{{- end }}
- name: AURORA_INDEX_PATH
  value: /var/lib/aurora/index
{{- with .Values.webhooks.hosts }}
- name: AURORA_WEBHOOK_HOSTS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.webhooks.signatureSecret }}
{{- if .name }}
- name: AURORA_WEBHOOK_SECRET
  {{- include "aurora.fromSecret" (list .name .key) | nindent 2 }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: AURORA_{{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{- define "aurora.fromSecret" -}}
valueFrom:
  secretKeyRef:
    name: {{ index . 0 }}
    key: {{ index . 1 }}
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
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Where the operator works: namespaces, or "*". */}}
{{- define "aurora.scope" -}}
{{- .Values.watchNamespaces | default (list "*") | toJson }}
{{- end }}
