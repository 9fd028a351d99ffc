"""At the workload: Envoy's bootstrap and supervision, traffic redirection, network namespaces.

Deciding is apart from doing. Pure: `redirect_settings`, `redirect_plan`, `redirect_proxy`,
`kuma_flags`, `envoy_settings`, `envoy_bootstrap`, `bootstrap_template`, `envoy_lifecycle`,
`workload_settings`, `fabric_addresses`, `registration`. Touching the kernel, processes or sockets:
`redirect_apply`, `envoy_binary`, `envoy_process`, `namespace`, `fabric`, `dns_relay`, `guardian`, `run`.
"""
