{{/*
What the objects of metrics have in common. Always true: nothing is rendered that is not enabled, and what could not
work is refused in one line.
*/}}

{{- define "udp-proxy.checks.metrics" -}}
{{- $metrics := .Values.metrics }}
{{- if and $metrics.podMonitor.enabled $metrics.serviceMonitor.enabled }}
{{- fail "metrics.podMonitor.enabled, metrics.serviceMonitor.enabled: every pod would be scraped twice: enable one of them" }}
{{- end }}
{{- if not (include "udp-proxy.hasPods" .) }}
{{- range $name := list "podMonitor" "serviceMonitor" "prometheusRule" "dashboard" }}
{{- if (index $metrics $name).enabled }}
{{- fail (printf "metrics.%s.enabled: mode injectOnly runs no proxy that could be scraped: set mode to daemonset or deployment, or switch it off" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The label `job` of all series. */}}
{{- define "udp-proxy.metrics.job" -}}
{{- .Values.metrics.job | default (include "udp-proxy.fullname" .) -}}
{{- end }}

{{/* Metadata of the object named by `suffix` with the settings `of`: dict "root" $ "of" … "suffix" "". */}}
{{- define "udp-proxy.metrics.metadata" -}}
name: {{ include "udp-proxy.fullname" .root }}{{ .suffix }}
namespace: {{ .of.namespace | default .root.Release.Namespace }}
labels: {{- merge (dict) (.of.labels | default dict) (include "udp-proxy.labels" .root | fromYaml) | toYaml | nindent 2 }}
{{- with .of.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* How an endpoint is scraped, with relabelings of the chart's own first: dict "root" $ "of" … "own" …. */}}
{{- define "udp-proxy.metrics.endpoint" -}}
path: /metrics
{{- with .of.interval }}
interval: {{ . }}
{{- end }}
{{- with .of.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
relabelings: {{- concat .own (.of.relabelings | default list) | toYaml | nindent 2 }}
{{- with .of.metricRelabelings }}
metricRelabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What both monitors add to the labels that the operator gives: the node, and a job that alerts can name. */}}
{{- define "udp-proxy.metrics.labels" -}}
- sourceLabels: [__meta_kubernetes_pod_node_name]
  targetLabel: node
- targetLabel: job
  replacement: {{ include "udp-proxy.metrics.job" . | quote }}
{{- end }}
