{{/* What of admissionregistration.k8s.io serves policies that change objects; nothing when it is off or not served. */}}
{{- define "udp-proxy.injection.apiVersion" -}}
{{- if (.Values.sidecarInjection | default dict).enabled -}}
{{- $group := "admissionregistration.k8s.io" -}}
{{- $v1 := printf "%s/v1" $group -}}
{{- $served := .Capabilities.APIVersions -}}
{{- if or ($served.Has (printf "%s/MutatingAdmissionPolicy" $v1)) (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) -}}
{{- $v1 -}}
{{- else if $served.Has (printf "%s/v1beta1/MutatingAdmissionPolicy" $group) -}}
{{- printf "%s/v1beta1" $group -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The policy belongs to the whole cluster, so its name says which release it is of. */}}
{{- define "udp-proxy.injection.name" -}}
{{- printf "%s-sidecar.%s" (include "udp-proxy.fullname" .) .Release.Namespace -}}
{{- end }}

{{/* For NOTES.txt: how applications ask for the sidecar, or why they would ask in vain; nothing when it is off. */}}
{{- define "udp-proxy.injection.notes" -}}
{{- if (.Values.sidecarInjection | default dict).enabled -}}
{{- if include "udp-proxy.injection.apiVersion" . -}}
A pod gets the proxy as a sidecar at 127.0.0.1:{{ .Values.sidecarInjection.port }} when it has the label
  udp-proxy/inject: "true"
{{- if not (.Values.sidecarInjection.targets | default .Values.targets) }}
WARNING: no target is set, so only pods with the annotation udp-proxy/targets get it.
{{- end }}
{{- else -}}
WARNING: sidecarInjection.enabled is set, but Kubernetes {{ .Capabilities.KubeVersion.Version }} does not serve
MutatingAdmissionPolicy (1.36 does): no pod gets a sidecar. Use `udp-proxy inject` or the kustomize component.
{{- end -}}
{{- end -}}
{{- end }}
