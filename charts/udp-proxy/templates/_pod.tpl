{{/*
The pod of DaemonSet and Deployment, and what is computed for it. Always true: what several templates need to agree on
(grace period, ports, probes) is computed here and nowhere else.
*/}}

{{/*
Seconds after SIGTERM until every node leads a Service's clients elsewhere. Senders that have one keep the address of the
leaving pod (conntrack) until kube-proxy hears that it is not Ready, which the readiness probe must find out first; four
seconds are for kubelet, the endpoints and kube-proxy, which works once a second.
*/}}
{{- define "udp-proxy.endpointDelay" -}}
{{- $probe := .Values.probes.readiness -}}
{{- eq .Values.exposure "service" | ternary (add 4 (mul $probe.periodSeconds $probe.failureThreshold)) 0 -}}
{{- end }}

{{/* Seconds to serve on after SIGTERM. A node's port is taken over at once. */}}
{{- define "udp-proxy.shutdownDelay" -}}
{{- if kindIs "invalid" .Values.proxy.shutdownDelaySeconds -}}
{{- include "udp-proxy.endpointDelay" . -}}
{{- else -}}
{{- .Values.proxy.shutdownDelaySeconds -}}
{{- end -}}
{{- end }}

{{- define "udp-proxy.gracePeriod" -}}
{{- $least := add (include "udp-proxy.shutdownDelay" . | int) .Values.proxy.drainTimeoutSeconds -}}
{{- .Values.terminationGracePeriodSeconds | default (add $least 10) -}}
{{- end }}

{{/*
Admin addresses, the one that the program's own probes ask first. Two pods share the host's network while one takes over
from the other, and its TCP port with it: each has a socket of its own besides.
*/}}
{{- define "udp-proxy.admin" -}}
{{- if eq .Values.exposure "hostNetwork" }}unix:///run/udp-proxy/admin.sock {{ end }}:{{ .Values.admin.port -}}
{{- end }}

{{/* One probe, from root, path, flags (of `healthcheck`, for the same question) and times. */}}
{{- define "udp-proxy.probe" -}}
{{- if eq .root.Values.exposure "hostNetwork" -}}
exec:
  command: {{ concat (list "/udp-proxy" "healthcheck") .flags | toJson }}
{{- else -}}
httpGet:
  path: {{ .path }}
  port: admin
{{- end }}
{{ toYaml .times }}
{{- end }}

{{/* Flags that the value `proxy` sets, by the values' names. */}}
{{- define "udp-proxy.flags" -}}
{{- $names := dict "buffer" "buffer" "readbuffer" "readbuffer" "channelSize" "channel-size" "queueBytes" "queue-bytes"
  "shards" "shards" "ready" "ready" "logLevel" "log-level" "logFormat" "log-format" "metricsStatsd" "metrics-statsd" -}}
{{- $proxy := .Values.proxy -}}
{{- range $value, $flag := $names -}}
{{- $given := get $proxy $value | default "" -}}
{{- if ne (toString $given) "" }}
- {{ printf "--%s=%v" $flag (kindIs "float64" $given | ternary (printf "%.0f" (kindIs "float64" $given | ternary $given 0.0)) $given) | toJson }}
{{- end -}}
{{- end }}
- --shutdown-delay={{ include "udp-proxy.shutdownDelay" . }}s
- --drain-timeout={{ .Values.proxy.drainTimeoutSeconds }}s
{{- end }}

{{- define "udp-proxy.podTemplate" -}}
{{- $v := .Values -}}
{{- $unix := $v.listen.unix -}}
{{- $onHost := eq $v.exposure "hostNetwork" -}}
metadata:
  labels: {{- include "udp-proxy.selectorLabels" . | nindent 4 }}
    app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
    {{- with merge (dict) $v.podLabels $v.commonLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # What pods read but their specification does not show.
    checksum/config: {{ list $v.targets $v.extraObjects | toJson | sha256sum }}
    kubectl.kubernetes.io/default-container: udp-proxy
    {{- with $v.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  {{- with include "udp-proxy.pullSecrets" . }}{{ . | nindent 2 }}{{ end }}
  serviceAccountName: {{ include "udp-proxy.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if $onHost }}
  # No port is declared below: the scheduler would keep a second pod off the node, and nothing could take over.
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  terminationGracePeriodSeconds: {{ include "udp-proxy.gracePeriod" . }}
  securityContext:
    {{- if and $unix.enabled $unix.asRoot }}
    {{- omit $v.podSecurityContext "runAsNonRoot" "runAsUser" "runAsGroup" | toYaml | nindent 4 }}
    runAsUser: 0
    runAsGroup: 0
    {{- else }}
    {{- toYaml $v.podSecurityContext | nindent 4 }}
    {{- end }}
  containers:
    - name: udp-proxy
      image: {{ include "udp-proxy.image" . | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        - --source=:{{ $v.listen.port }}
        {{- if $unix.enabled }}
        - --source=unixgram:///run/dsd/{{ $unix.socket }}?mode={{ $unix.mode }}
        {{- end }}
        {{- range $name, $target := $v.targets }}
        - {{ printf "--target=%s" (include "udp-proxy.target" (dict "name" $name "target" $target)) | quote }}
        {{- end }}
        {{- include "udp-proxy.flags" . | trim | nindent 8 }}
        {{- with $v.extraArgs }}{{ toYaml . | nindent 8 }}{{ end }}
      env:
        - name: HOST_IP
          valueFrom:
            fieldRef:
              fieldPath: status.hostIP
        - name: UDP_PROXY_ADMIN
          value: {{ include "udp-proxy.admin" . | quote }}
        {{- with $v.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- if not $onHost }}
      ports:
        - name: statsd
          containerPort: {{ $v.listen.port }}
          {{- if eq $v.exposure "hostPort" }}
          hostPort: {{ $v.listen.port }}
          {{- end }}
          protocol: UDP
        - name: admin
          containerPort: {{ $v.admin.port }}
          protocol: TCP
      {{- end }}
      startupProbe:
        {{- include "udp-proxy.probe" (dict "root" . "path" "/livez" "flags" (list "--live") "times" $v.probes.startup) | nindent 8 }}
      livenessProbe:
        {{- include "udp-proxy.probe" (dict "root" . "path" "/livez" "flags" (list "--live") "times" $v.probes.liveness) | nindent 8 }}
      readinessProbe:
        {{- include "udp-proxy.probe" (dict "root" . "path" "/readyz" "flags" list "times" $v.probes.readiness) | nindent 8 }}
      resources: {{- toYaml $v.resources | nindent 8 }}
      securityContext: {{- toYaml $v.securityContext | nindent 8 }}
      # A wrong configuration ends the program with one line: the pod's status shows it.
      terminationMessagePolicy: FallbackToLogsOnError
      {{- if or $onHost $unix.enabled $v.extraVolumeMounts }}
      volumeMounts:
        {{- if $onHost }}
        - name: admin
          mountPath: /run/udp-proxy
        {{- end }}
        {{- if $unix.enabled }}
        - name: dsd
          mountPath: /run/dsd
        {{- end }}
        {{- with $v.extraVolumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- end }}
  {{- if or $onHost $unix.enabled $v.extraVolumes }}
  volumes:
    {{- if $onHost }}
    - name: admin
      emptyDir:
        medium: Memory
        sizeLimit: 1Mi
    {{- end }}
    {{- if $unix.enabled }}
    - name: dsd
      hostPath:
        path: {{ $unix.hostPath }}
        type: DirectoryOrCreate
    {{- end }}
    {{- with $v.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- end }}
  nodeSelector: {{- merge (dict "kubernetes.io/os" "linux") $v.nodeSelector | toYaml | nindent 4 }}
  {{- $everywhere := eq $v.mode "daemonset" | ternary (list (dict "effect" "NoSchedule" "operator" "Exists")) list }}
  {{- with kindIs "invalid" $v.tolerations | ternary $everywhere $v.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
