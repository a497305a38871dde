{{/* The value `targets` as words for --target, and as what a NetworkPolicy must let out. */}}

{{/* One target as a word, from name and target. Helm reads numbers as floats: they are written without an exponent. */}}
{{- define "udp-proxy.target" -}}
{{- $options := list -}}
{{- range $option, $value := omit .target "address" -}}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) -}}
{{- $number := kindIs "float64" $value | ternary $value 0.0 -}}
{{- $whole := and (kindIs "float64" $value) (eq (floor $number) $number) -}}
{{- $options = append $options (printf "%s=%v" $option ($whole | ternary (printf "%.0f" $number) $value)) -}}
{{- end -}}
{{- end -}}
{{- printf "%s=%s%s%s" .name .target.address (empty $options | ternary "" "?") (join "&" $options) -}}
{{- end }}

{{/* A map of targets, or words already, as words on one line. */}}
{{- define "udp-proxy.targets" -}}
{{- if kindIs "map" . -}}
{{- $words := list -}}
{{- range $name, $target := . -}}
{{- $words = append $words (include "udp-proxy.target" (dict "name" $name "target" $target)) -}}
{{- end -}}
{{- join " " $words -}}
{{- else if . -}}
{{- . -}}
{{- end -}}
{{- end }}

{{/*
What must be let out to reach one address: JSON with `egress`, a rule (none for a Unix socket), and `named`, whether DNS
is asked. Where the address is a name or `$(HOST_IP)`, only the port is known.
*/}}
{{- define "udp-proxy.egress" -}}
{{- $address := trimPrefix "udp://" . -}}
{{- if hasPrefix "unixgram://" $address -}}
{{- dict "named" false | toJson -}}
{{- else -}}
{{- $host := regexReplaceAll ":[0-9]+$" $address "" -}}
{{- $rule := dict "ports" (list (dict "port" (regexFind "[0-9]+$" $address | int) "protocol" "UDP")) -}}
{{- if regexMatch "^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$" $host -}}
{{- $rule = set $rule "to" (list (dict "ipBlock" (dict "cidr" (printf "%s/32" $host)))) -}}
{{- else if regexMatch "^[[][0-9a-fA-F:.]+]$" $host -}}
{{- $rule = set $rule "to" (list (dict "ipBlock" (dict "cidr" (printf "%s/128" (trimAll "[]" $host))))) -}}
{{- end -}}
{{- dict "egress" $rule "named" (not (or $rule.to (contains "$(" $host))) | toJson -}}
{{- end -}}
{{- end }}
