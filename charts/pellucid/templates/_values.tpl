{{/*
What values may be given. "known" are the chart's own defaults (files/known-values.yaml, the same as values.yaml):
a key that is not among them is refused, with the nearest one that is.
*/}}

{{- define "pellucid.checkValues" -}}
{{- $known := .Files.Get "files/known-values.yaml" | fromYaml -}}
{{- if hasKey .Values.global "bootstrapACLs" -}}
{{- fail "global.bootstrapACLs was removed, use global.acls.manageSystemACLs instead" -}}
{{- end -}}
{{- include "pellucid.checkKeys" (dict "given" (omit .Values "helm") "known" $known "path" "") -}}
{{- include "pellucid.checkRules" . -}}
{{- end -}}

{{- define "pellucid.checkKeys" -}}
{{- $path := .path -}}
{{- $known := .known -}}
{{- range $key, $value := .given -}}
{{- $full := ternary $key (printf "%s.%s" $path $key) (eq $path "") -}}
{{- if not (hasKey $known $key) -}}
{{- $nearest := include "pellucid.nearest" (dict "key" $key "known" (keys $known | sortAlpha)) -}}
{{- fail (printf "unknown value %q: did you mean %q? %s takes: %s" $full (ternary $nearest (printf "%s.%s" $path $nearest) (eq $path "")) (default "the chart" $path) (keys $known | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $default := index $known $key -}}
{{- if and (kindIs "map" $default) $default (kindIs "map" $value) -}}
{{- include "pellucid.checkKeys" (dict "given" $value "known" $default "path" $full) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The known key that shares the most pairs of letters with "key". */}}
{{- define "pellucid.nearest" -}}
{{- $key := lower .key -}}
{{- $best := dict "score" -1000 "name" "" -}}
{{- range $name := .known -}}
{{- $score := dict "value" (mul -1 (max (sub (len $name) (len $key)) (sub (len $key) (len $name)))) -}}
{{- range $index := until (max 0 (sub (len $key) 1) | int) -}}
{{- if contains (substr $index (add $index 2 | int) $key) (lower $name) -}}
{{- $_ := set $score "value" (add $score.value 3) -}}
{{- end -}}
{{- end -}}
{{- if gt (int $score.value) (int $best.score) -}}
{{- $_ := set $best "score" $score.value -}}
{{- $_ := set $best "name" $name -}}
{{- end -}}
{{- end -}}
{{- $best.name -}}
{{- end -}}

{{/* What must not be ignored, and what does not go together. Texts that consul-helm has are its own. */}}
{{- define "pellucid.checkRules" -}}
{{- include "pellucid.checkServers" . -}}
{{- include "pellucid.checkSecurity" . -}}
{{- if .Values.connectInject.enabled -}}
{{- include "pellucid.checkInjection" . -}}
{{- end -}}
{{- end -}}

{{- define "pellucid.checkServers" -}}
{{- $servers := include "pellucid.wanted" (dict "enabled" .Values.server.enabled "root" .) -}}
{{- if and .Values.server.bootstrapExpect (lt (int .Values.server.bootstrapExpect) (int .Values.server.replicas)) -}}
{{- fail "server.bootstrapExpect cannot be less than server.replicas" -}}
{{- end -}}
{{- if .Values.externalServers.enabled -}}
{{- if $servers -}}{{- fail "only one of server.enabled or externalServers.enabled can be set" -}}{{- end -}}
{{- if not .Values.externalServers.hosts -}}{{- fail "externalServers.hosts must be set if externalServers.enabled is true" -}}{{- end -}}
{{- fail "externalServers.enabled: the servers run in the cluster; leave it out" -}}
{{- end -}}
{{- if .Values.global.federation.enabled -}}
{{- if not .Values.global.tls.enabled -}}{{- fail "If global.federation.enabled is true, global.tls.enabled must be true because federation is only supported with TLS enabled" -}}{{- end -}}
{{- if not .Values.meshGateway.enabled -}}{{- fail "If global.federation.enabled is true, meshGateway.enabled must be true because mesh gateways are required for federation" -}}{{- end -}}
{{- fail "global.federation.enabled: datacenters are not joined yet; leave it out" -}}
{{- end -}}
{{- if and .Values.global.metrics.enabled .Values.global.metrics.enableAgentMetrics (include "pellucid.httpsOnly" .) -}}
{{- fail "global.metrics.enableAgentMetrics cannot be enabled if TLS (HTTPS only) is enabled" -}}
{{- end -}}
{{- end -}}

{{/* Who asks for these relies on them. */}}
{{- define "pellucid.checkSecurity" -}}
{{- if .Values.global.acls.manageSystemACLs -}}
{{- fail "global.acls.manageSystemACLs: there are no ACLs yet, so nobody would enforce them; leave it out. Pods and components are known by their service accounts either way" -}}
{{- end -}}
{{- if and (not .Values.global.enableConsulNamespaces) (or .Values.connectInject.consulNamespaces.mirroringK8S .Values.syncCatalog.consulNamespaces.mirroringK8S) -}}
{{- fail "global.enableConsulNamespaces must be true if mirroringK8S=true" -}}
{{- end -}}
{{- if .Values.global.enableConsulNamespaces -}}
{{- fail "global.enableConsulNamespaces: there are no Consul namespaces; leave it out" -}}
{{- end -}}
{{- if or .Values.global.tls.caCert.secretName .Values.global.tls.caKey.secretName -}}
{{- fail "global.tls.caCert, caKey: the server makes an authority of its own, which clients of another would not trust; leave them out" -}}
{{- end -}}
{{- end -}}

{{- define "pellucid.checkInjection" -}}
{{- if not (include "pellucid.wanted" (dict "enabled" .Values.client.enabled "root" .)) -}}
{{- fail "clients must be enabled for connect injection" -}}
{{- end -}}
{{- if not .Values.client.grpc -}}
{{- fail "client.grpc must be true for connect injection" -}}
{{- end -}}
{{- if .Values.connectInject.imageEnvoy -}}
{{- fail "connectInject.imageEnvoy must be specified in global.imageEnvoy" -}}
{{- end -}}
{{- if not (include "pellucid.wanted" (dict "enabled" .Values.server.enabled "root" .)) -}}
{{- fail "server.enabled must be true for connect injection: there is nothing else to inject for" -}}
{{- end -}}
{{- end -}}

{{/* "true" where a given value says something else than its default. Helm leaves out what is null. */}}
{{- define "pellucid.differs" -}}
{{- if and (kindIs "map" .given) (kindIs "map" .default) -}}
{{- $default := .default -}}
{{- $found := dict -}}
{{- range $key, $value := .given -}}
{{- if include "pellucid.differs" (dict "given" $value "default" (get $default $key)) -}}
{{- $_ := set $found "any" true -}}
{{- end -}}
{{- end -}}
{{- if $found.any -}}true{{- end -}}
{{- else if or .given .default -}}
{{- if ne (toJson .given) (toJson .default) -}}true{{- end -}}
{{- end -}}
{{- end -}}
