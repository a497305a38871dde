{{/* Names, labels and image that every template uses. */}}
{{- define "udp-proxy.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end }}

{{- define "udp-proxy.fullname" -}}
{{- $name := include "udp-proxy.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 53 | trimSuffix "-" -}}
{{- end }}

{{/* What pods are found by; it must never change in an upgrade. */}}
{{- define "udp-proxy.selectorLabels" -}}
app.kubernetes.io/name: {{ include "udp-proxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "udp-proxy.labels" -}}
{{ include "udp-proxy.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The digest goes before the tag, a parent chart's registry before our own. */}}
{{- define "udp-proxy.image" -}}
{{- $image := .Values.image -}}
{{- $registry := (.Values.global | default dict).imageRegistry | default $image.registry -}}
{{- $at := not (empty $image.digest) | ternary (printf "@%s" $image.digest) (printf ":%s" ($image.tag | default .Chart.AppVersion)) -}}
{{- printf "%s%s%s" (empty $registry | ternary "" (printf "%s/" $registry)) $image.repository $at -}}
{{- end }}

{{/* imagePullSecrets of a pod: names become maps. */}}
{{- define "udp-proxy.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat ((.Values.global | default dict).imagePullSecrets | default list) .Values.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with $secrets | uniq -}}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{- define "udp-proxy.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "udp-proxy.fullname" .) "default") -}}
{{- end }}

{{/* "true" where the release has pods. */}}
{{- define "udp-proxy.hasPods" -}}
{{- if ne .Values.mode "injectOnly" }}true{{ end -}}
{{- end }}

{{/* The pod of `helm test`, which a NetworkPolicy must let in. */}}
{{- define "udp-proxy.checkLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: check
{{- end }}
