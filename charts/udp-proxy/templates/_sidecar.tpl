{{/*
The sidecar, for chart authors: one item of initContainers. Needs udp-proxy as a dependency (mode: injectOnly).

  initContainers:
    {{- include "udp-proxy.sidecar" (dict "root" $ "targets" "datadog=$(HOST_IP):8125") | nindent 4 }}

  root       $ of your template; without it, give image
  targets    words as for --target, or a map as the value targets; without it, the values of the dependency
  port       on 127.0.0.1 [8125]       logLevel   [info]
  resources  as in a container         image      repository:tag
*/}}
{{- define "udp-proxy.sidecar" -}}
{{- $chart := dict -}}
{{- if .root -}}
{{- $chart = eq .root.Chart.Name "udp-proxy" | ternary .root (get (.root.Subcharts | default dict) "udp-proxy" | default dict) -}}
{{- end -}}
{{- $values := get ($chart.Values | default dict) "sidecarInjection" | default dict -}}
{{- $image := .image -}}
{{- if and (not $image) $chart -}}{{- $image = include "udp-proxy.image" $chart -}}{{- end -}}
{{- $targets := include "udp-proxy.targets" (.targets | default (and $chart ($values.targets | default $chart.Values.targets))) -}}
{{- if not $image }}{{ fail "udp-proxy.sidecar: there is no image: give root ($) and the dependency udp-proxy, or image" }}{{ end -}}
{{- if not $targets }}{{ fail "udp-proxy.sidecar: there is no target: give targets" }}{{ end -}}
{{- $spec := dict
  "image" $image
  "source" (printf "127.0.0.1:%v" (.port | default $values.port | default 8125))
  "targets" $targets
  "logLevel" (.logLevel | default $values.logLevel | default "info")
  "resources" (.resources | default $values.resources | default dict) -}}
- {{ include "udp-proxy.sidecar.container" $spec | fromYaml | toYaml | nindent 2 | trim }}
{{- end }}

{{/* The one container, from image, source, targets, logLevel and resources. `udp-proxy inject` writes the same. */}}
{{- define "udp-proxy.sidecar.container" -}}
name: udp-proxy
image: {{ .image | toJson }}
restartPolicy: Always
env:
  - name: HOST_IP
    valueFrom:
      fieldRef:
        fieldPath: status.hostIP
  - name: UDP_PROXY_SOURCE
    value: {{ .source | toJson }}
  - name: UDP_PROXY_TARGET
    value: {{ .targets | toJson }}
  - name: UDP_PROXY_ADMIN
    value: unix:///dev/shm/udp-proxy.sock
  - name: UDP_PROXY_LOG_LEVEL
    value: {{ .logLevel | toJson }}
  - name: UDP_PROXY_SHARDS
    value: "1"
startupProbe:
  exec:
    command: [/udp-proxy, healthcheck, --live]
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
{{- with .resources }}
resources: {{ . | toJson }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  readOnlyRootFilesystem: true
  runAsGroup: 65532
  runAsNonRoot: true
  runAsUser: 65532
  seccompProfile:
    type: RuntimeDefault
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/*
A value as a CEL literal, for the policy. Strings that begin with `=CEL=` are expressions. `dyn` because CEL wants one
type in a map and a list otherwise. Takes value and pad, the white space before its closing bracket.
*/}}
{{- define "udp-proxy.cel" -}}
{{- $pad := .pad -}}
{{- $deeper := printf "%s  " $pad -}}
{{- if kindIs "map" .value -}}
{{- $parts := list -}}
{{- range $key, $value := .value -}}
{{- $parts = append $parts (printf "%s%s: dyn(%s)" $deeper (toJson $key) (include "udp-proxy.cel" (dict "value" $value "pad" $deeper))) -}}
{{- end -}}
{{- printf "{\n%s\n%s}" (join ",\n" $parts) $pad -}}
{{- else if kindIs "slice" .value -}}
{{- $parts := list -}}
{{- range .value -}}
{{- $parts = append $parts (printf "%sdyn(%s)" $deeper (include "udp-proxy.cel" (dict "value" . "pad" $deeper))) -}}
{{- end -}}
{{- printf "[\n%s\n%s]" (join ",\n" $parts) $pad -}}
{{- else if and (kindIs "string" .value) (hasPrefix "=CEL=" .value) -}}
{{- trimPrefix "=CEL=" .value -}}
{{- else -}}
{{- toJson .value -}}
{{- end -}}
{{- end }}
