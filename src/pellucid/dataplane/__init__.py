"""At the workload: Envoy's bootstrap and supervision, traffic redirection, network namespaces.

Deciding is apart from doing. Pure: `redirect_settings`, `redirect_plan`, `redirect_proxy`, `kuma_flags`,
`envoy_settings`, `envoy_bootstrap`, `envoy_metrics`, `bootstrap_template`, `envoy_lifecycle`. Touching the
kernel, processes or sockets: `redirect_apply`, `envoy_binary`, `envoy_process`, `envoy_admin`, and the
packages `namespace` and `run`, which put both together around any program.
"""
