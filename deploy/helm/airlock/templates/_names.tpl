{{- define "airlock.name" -}}
{{- default (ternary .Release.Name (printf "%s-airlock" .Release.Name) (contains "airlock" .Release.Name)) .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "airlock.labels" -}}
app: {{ include "airlock.name" . }}
app.kubernetes.io/name: airlock
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "airlock.selector" -}}
app: {{ include "airlock.name" . }}
{{- end -}}
