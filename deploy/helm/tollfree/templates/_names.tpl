{{/* Names and labels, as `helm create` makes them. */}}
{{- define "tollfree.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tollfree.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tollfree.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tollfree.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tollfree.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tollfree.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "tollfree.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "tollfree.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Not empty where the replicas share their totals. */}}
{{- define "tollfree.shares" -}}
{{- or .Values.share.url .Values.share.existingSecret | default "" }}
{{- end }}

{{/* Not empty where the page and the metrics are open to others, for a token. */}}
{{- define "tollfree.opens" -}}
{{- or .Values.admin.token .Values.admin.existingSecret | default "" }}
{{- end }}

{{/* What cannot be right, said before anything is installed. */}}
{{- define "tollfree.refuse" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not (include "tollfree.shares" .)) }}
{{- fail "replicaCount is more than 1 and share.url is empty: each replica would hand out the whole allowance. Set share.url (or share.existingSecret) to a Redis or Valkey they share, or replicaCount to 1." }}
{{- end }}
{{- if and (gt (int .Values.replicaCount) 1) .Values.persistence.existingClaim }}
{{- fail "persistence.existingClaim is one volume and replicaCount is more than 1: each replica has a ledger of its own. Leave the claim out, and each gets a volume." }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not (include "tollfree.opens" .)) }}
{{- fail "serviceMonitor.enabled needs admin.token or admin.existingSecret: without a token the metrics are the pod's own." }}
{{- end }}
{{- end }}
