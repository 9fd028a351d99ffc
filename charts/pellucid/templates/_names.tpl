{{/* Names and labels, as consul-helm gives them. */}}

{{- define "pellucid.fullname" -}}
{{- $own := printf "%s-%s" .Release.Name (.Values.nameOverride | default "consul") -}}
{{- .Values.fullnameOverride | default .Values.global.name | default $own | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "pellucid.labels" -}}
app: consul
chart: consul-helm
heritage: {{ .Release.Service }}
release: {{ .Release.Name }}
{{- end -}}

{{/* Which pods are meant: "component" is a component's name. */}}
{{- define "pellucid.selector" -}}
app: consul
release: {{ .root.Release.Name }}
component: {{ .component }}
{{- end -}}

{{- define "pellucid.image" -}}
{{- .Values.global.imagePellucid | default (printf "pellucid/pellucid:%s" .Chart.AppVersion) -}}
{{- end -}}

{{/* By which everything in the cluster dials the server: an address that outlives the server's pod. */}}
{{- define "pellucid.server" -}}
{{ include "pellucid.fullname" . }}-server-api.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "pellucid.injectorAccount" -}}
{{ include "pellucid.fullname" . }}-connect-injector-webhook-svc-account
{{- end -}}

{{/* "true" where a part is wanted: its own "enabled", or global.enabled where that is "-". */}}
{{- define "pellucid.wanted" -}}
{{- if eq (toString .enabled) "-" -}}{{- if .root.Values.global.enabled -}}true{{- end -}}
{{- else if .enabled -}}true{{- end -}}
{{- end -}}

{{/* "true" where nobody outside the server's own pod speaks plain HTTP to it. */}}
{{- define "pellucid.httpsOnly" -}}
{{- if and .Values.global.tls.enabled .Values.global.tls.httpsOnly -}}true{{- end -}}
{{- end -}}

{{/* Whether pods are redirected that do not say. */}}
{{- define "pellucid.transparentByDefault" -}}
{{- $wish := toString .Values.connectInject.transparentProxy.defaultEnabled -}}
{{- if ne $wish "-" -}}{{- $wish -}}
{{- else if hasPrefix "0.31." (toString .Values.global.chartVersion) -}}false
{{- else if contains ":1.10.0-alpha" (toString .Values.global.image) -}}false
{{- else -}}true{{- end -}}
{{- end -}}

{{- define "pellucid.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Text values of consul-helm are templates of their own. */}}
{{- define "pellucid.text" -}}
{{- if kindIs "string" .value -}}{{- tpl .value .root -}}{{- else -}}{{- toYaml .value -}}{{- end -}}
{{- end -}}

{{/* Where a pod is to run: nodeSelector, tolerations, affinity, priorityClassName of "values". */}}
{{- define "pellucid.placement" -}}
{{- $root := .root -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" }}
{{- with index $.values $field }}
{{ $field }}:
{{ include "pellucid.text" (dict "value" . "root" $root) | trim | indent 2 }}
{{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* How a component knows the server, and proves itself to it. */}}
{{- define "pellucid.componentVolumes" -}}
- name: server-ca
  configMap:
    name: {{ include "pellucid.fullname" . }}-server-ca
- name: token
  projected:
    sources:
      - serviceAccountToken:
          audience: {{ include "pellucid.fullname" . }}
          expirationSeconds: 3600
          path: token
{{- end -}}

{{- define "pellucid.componentMounts" -}}
- {name: server-ca, mountPath: /consul/server-ca, readOnly: true}
- {name: token, mountPath: /consul/token, readOnly: true}
{{- end -}}
