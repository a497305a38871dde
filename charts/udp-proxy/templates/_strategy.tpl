{{/*
How pods are replaced. The new one comes first wherever two can stand on one node: then clients are never without one.
A host port can be had by one pod only, and a rollout that waits for a second one hangs (kubernetes#106417).
*/}}
{{- define "udp-proxy.updateStrategy" -}}
{{- $surge := dict "maxSurge" 1 "maxUnavailable" 0 -}}
{{- $replace := dict "maxSurge" 0 "maxUnavailable" 1 -}}
{{- $computed := dict "type" "RollingUpdate" "rollingUpdate" (eq .Values.exposure "hostPort" | ternary $replace $surge) -}}
{{- .Values.updateStrategy | default $computed | toYaml -}}
{{- end }}
