{{/* The rights, each of which is a request that the operator makes; tests/apiserver/test_rbac.py
     compares them with the API server's audit log, in both directions. */}}

{{/* Watched, listed by the sweep, and read one by one where the watch left a gap. */}}
{{- define "aurora.rules.watcher" -}}
- apiGroups: [aurora.dev]
  resources: [modeldeployments, routingpolicies, decisions, approvals]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods, services, resourcequotas]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch]
{{- if .Values.actions.cache.enabled }}
# Before a cache is put before a port, what names that port by number.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list]
{{- end }}
{{- with .Values.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* AURORA's own objects and Events: old values, finalizer and last decision on a ModelDeployment
     or a RoutingPolicy; Decisions, which are deleted when they are old, since the records keep them. */}}
{{- define "aurora.rules.recorder" -}}
- apiGroups: [aurora.dev]
  resources:
    - modeldeployments
    - routingpolicies
    - decisions/status
  verbs: [patch]
- apiGroups: [aurora.dev]
  resources: [modeldeployments/status, routingpolicies/status]
  verbs: [update]
- apiGroups: [aurora.dev]
  resources: [decisions]
  verbs: [create, delete]
- apiGroups: [aurora.dev]
  resources: [approvals]
  verbs: [delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* Replicas without an autoscaler, else its floor; one is created where a ModelDeployment asks. */}}
{{- define "aurora.rules.scale" -}}
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [get, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [create, patch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [patch]
{{- end }}

{{/* A Service's selector and targetPort, or the weights of a route. */}}
{{- define "aurora.rules.route" -}}
- apiGroups: [""]
  resources: [services]
  verbs: [patch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [patch]
{{- end }}

{{/* The sidecar in a pod template, and its configuration. */}}
{{- define "aurora.rules.cache" -}}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch]
{{- end }}

{{/* What routers mount: the ConfigMap of each RoutingPolicy with spec.router. */}}
{{- define "aurora.rules.routers" -}}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch]
{{- end }}

{{/* URLs and keys of the webhooks that ModelDeployments name. */}}
{{- define "aurora.rules.webhook" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson .Values.webhooks.secretNames }}
  verbs: [get]
{{- end }}

{{/* What belongs to no namespace. */}}
{{- define "aurora.rules.cluster" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get, list, watch]
{{- if not .Values.watchNamespaces }}
# The kill switch is watched with a field selector, which the name here matches.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [aurora-control]
  verbs: [list, watch]
{{- end }}
{{- end }}

{{/* In its own namespace: the Lease, the kill switch, and its Deployment for the uninstall hook. */}}
{{- define "aurora.rules.own" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [aurora-leader]
  verbs: [get, patch{{ if .Values.uninstallHook.enabled }}, delete{{ end }}]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [aurora-control]
  verbs: [get]
{{- if .Values.uninstallHook.enabled }}
- apiGroups: [apps]
  resources: [deployments/scale]
  resourceNames: [{{ include "aurora.name" . }}]
  verbs: [patch]
{{- end }}
{{- end }}

{{/* One role and its binding to the operator, in each namespace of a JSON list; "*" is the cluster.
     Called with (list root name rules namespaces). */}}
{{- define "aurora.grant" -}}
{{- $root := index . 0 }}
{{- $rules := index . 2 }}
{{- range index . 3 | fromJsonArray }}
{{- $wide := eq . "*" }}
{{- $name := printf "%s-%s" (include "aurora.clusterName" $root) (index $ 1) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if $wide }}ClusterRole{{ else }}Role{{ end }}
metadata:
  name: {{ $name }}
  {{- if not $wide }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "aurora.labels" $root | nindent 4 }}
rules:
  {{- $rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if $wide }}ClusterRoleBinding{{ else }}RoleBinding{{ end }}
metadata:
  name: {{ $name }}
  {{- if not $wide }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "aurora.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ if $wide }}ClusterRole{{ else }}Role{{ end }}
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "aurora.name" $root }}
    namespace: {{ $root.Release.Namespace }}
{{ end }}
{{- end }}
