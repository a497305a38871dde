{{/*
Values that cannot work together, each refused in one line that names the value and says what would be right. Types and
words are the schema's business; what the program would refuse at its start is refused here already, where a person
is still looking.
*/}}
{{- define "udp-proxy.checks" -}}
{{- include "udp-proxy.checks.targets" (dict "path" "targets" "targets" .Values.targets) -}}
{{- include "udp-proxy.checks.targets" (dict "path" "sidecarInjection.targets" "targets" .Values.sidecarInjection.targets) -}}
{{- include "udp-proxy.checks.metrics" . -}}
{{- if include "udp-proxy.hasPods" . -}}
{{- include "udp-proxy.checks.pods" . -}}
{{- include "udp-proxy.checks.rollout" . -}}
{{- end -}}
{{- end }}

{{- define "udp-proxy.checks.targets" -}}
{{- $path := .path -}}
{{- if gt (len .targets) 64 }}{{ fail (printf "%s: there are %d: at most 64 can be served" $path (len .targets)) }}{{ end -}}
{{- range $name, $target := .targets -}}
{{- $at := printf "%s.%s" $path $name -}}
{{- $address := $target.address | toString -}}
{{- if hasPrefix "unixgram://" $address -}}
{{- if not (regexMatch "^unixgram:///[^?\\s]+$" $address) }}{{ fail (printf "%s.address: '%s' is no path: give unixgram:///path" $at $address) }}{{ end -}}
{{- else -}}
{{- $bare := trimPrefix "udp://" $address -}}
{{- if contains "://" $bare }}{{ fail (printf "%s.address: '%s' has a scheme that is not known: give host:port or unixgram:///path" $at $address) }}{{ end -}}
{{- if contains "?" $bare }}{{ fail (printf "%s.address: '%s' has options: give them beside it, as %s.pack: mtu" $at $address $at) }}{{ end -}}
{{- if not (regexMatch "^([[][0-9a-fA-F:.]+]|[$][(][A-Za-z_]+[)]|[A-Za-z0-9_.-]+):[0-9]{1,5}$" $bare) }}{{ fail (printf "%s.address: '%s' is no address: give host:port, for example otel.monitoring:8125, or unixgram:///path" $at $address) }}{{ end -}}
{{- $port := regexFind "[0-9]+$" $bare | int -}}
{{- if or (lt $port 1) (gt $port 65535) }}{{ fail (printf "%s.address: port %d: give 1 to 65535" $at $port) }}{{ end -}}
{{- end -}}
{{- range $option, $value := omit $target "address" -}}
{{- if regexMatch "[\\s&?=]" (toString $value) }}{{ fail (printf "%s.%s: '%v' has a character that ends an option: leave out white space, &, ? and =" $at $option $value) }}{{ end -}}
{{- end -}}
{{- if and $target.linger (not $target.pack) }}{{ fail (printf "%s.linger: only packs wait: give %s.pack as well" $at $at) }}{{ end -}}
{{- if and $target.overflow (not (has $target.overflow (list "newest" "oldest"))) }}{{ fail (printf "%s.overflow: '%v' is unknown: give newest or oldest" $at $target.overflow) }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "udp-proxy.checks.pods" -}}
{{- $v := .Values -}}
{{- if not $v.targets }}{{ fail "targets: there is none: give at least one, for example --set targets.datadog.address='$(HOST_IP):8125'" }}{{ end -}}
{{- if eq ($v.listen.port | int) ($v.admin.port | int) -}}
{{- if eq $v.exposure "hostNetwork" }}{{ fail (printf "admin.port: %d is listen.port as well: give the node another one" ($v.admin.port | int)) }}{{ end -}}
{{- end -}}
{{- if and (eq $v.exposure "hostNetwork") (lt ($v.listen.port | int) 1024) }}{{ fail (printf "listen.port: %d: on the host's network ports below 1024 need a capability that the pod does not have: give 1024 to 65535" ($v.listen.port | int)) }}{{ end -}}
{{- if and $v.networkPolicy.enabled (eq $v.exposure "hostNetwork") }}{{ fail "networkPolicy.enabled: a NetworkPolicy has no effect on pods of the host's network: leave it off, or choose another exposure" }}{{ end -}}
{{- if and (ne $v.exposure "service") $v.service.internalTrafficPolicy }}{{ fail (printf "service.internalTrafficPolicy: exposure %s has no Service for applications: leave it out, or set exposure: service" $v.exposure) }}{{ end -}}
{{- if and $v.podDisruptionBudget.enabled (ne $v.mode "deployment") }}{{ fail "podDisruptionBudget.enabled: a DaemonSet's pods are not evicted: leave it off, or set mode: deployment" }}{{ end -}}
{{- if and $v.topologySpreadConstraints (ne $v.mode "deployment") }}{{ fail "topologySpreadConstraints: a DaemonSet has one pod on each node already: leave it out, or set mode: deployment" }}{{ end -}}
{{- if and $v.image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" $v.image.digest)) }}{{ fail (printf "image.digest: '%s' is no digest: give sha256: and 64 hexadecimal digits" $v.image.digest) }}{{ end -}}
{{- if and (not $v.serviceAccount.create) $v.serviceAccount.annotations }}{{ fail "serviceAccount.annotations: no ServiceAccount is made: set serviceAccount.create, or leave them out" }}{{ end -}}
{{- range $v.extraEnv -}}
{{- if has .name (list "HOST_IP" "UDP_PROXY_ADMIN") }}{{ fail (printf "extraEnv: %s is set by the chart: use admin.port, or another name" .name) }}{{ end -}}
{{- if has .name (list "UDP_PROXY_SOURCE" "UDP_PROXY_TARGET") }}{{ fail (printf "extraEnv: %s has no effect beside the chart's arguments: use listen, targets or extraArgs" .name) }}{{ end -}}
{{- end -}}
{{- range $v.extraArgs -}}
{{- if regexMatch "^--admin(=|$)" . }}{{ fail "extraArgs: --admin would leave the probes without an answer: use admin.port" }}{{ end -}}
{{- if not (hasPrefix "-" .) }}{{ fail (printf "extraArgs: '%s' does not begin with --: write flag and value as one, for example --exclusive or --engine=portable" .) }}{{ end -}}
{{- end -}}
{{- range concat $v.extraVolumes $v.extraVolumeMounts -}}
{{- if has .name (list "admin" "dsd") }}{{ fail (printf "extraVolumes: the chart itself uses the name '%s': give another one" .name) }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "udp-proxy.checks.rollout" -}}
{{- $v := .Values -}}
{{- $least := add (include "udp-proxy.shutdownDelay" . | int) $v.proxy.drainTimeoutSeconds -}}
{{- if le (include "udp-proxy.gracePeriod" . | int) ($least | int) }}{{ fail (printf "terminationGracePeriodSeconds: %d: shutdown delay and drain timeout take %d: give more, or leave it out" (include "udp-proxy.gracePeriod" . | int) $least) }}{{ end -}}
{{- $strategy := $v.updateStrategy -}}
{{- $rolling := $strategy.rollingUpdate | default dict -}}
{{- $surge := $rolling.maxSurge | default 0 | toString -}}
{{- with $strategy -}}
{{- $known := eq $v.mode "daemonset" | ternary (list "RollingUpdate" "OnDelete") (list "RollingUpdate" "Recreate") -}}
{{- if not (has .type $known) }}{{ fail (printf "updateStrategy.type: '%v' is unknown to mode %s: give %s" (.type | default "") $v.mode (join " or " $known)) }}{{ end -}}
{{- if and (ne .type "RollingUpdate") $rolling }}{{ fail (printf "updateStrategy.rollingUpdate: %s does not roll: leave it out" .type) }}{{ end -}}
{{- if and (eq .type "RollingUpdate") (eq $v.exposure "hostPort") (not (has $surge (list "0" "0%"))) }}{{ fail (printf "updateStrategy.rollingUpdate.maxSurge: %s: a host port can be had by one pod only, so the second one would never start (kubernetes#106417): leave it out, or set exposure: hostNetwork" $surge) }}{{ end -}}
{{- if and (eq .type "RollingUpdate") (eq $v.exposure "hostPort") (eq $v.mode "deployment") (not (hasKey $rolling "maxSurge")) }}{{ fail "updateStrategy.rollingUpdate.maxSurge: is missing and a Deployment's default is 25%, but a host port can be had by one pod only: give 0" }}{{ end -}}
{{- end -}}
{{- end }}
