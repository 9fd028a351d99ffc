"""Check runners: finding out whether nodes and services are well.

`machine` decides, without a clock or a socket, when a check is due and what its results mean; `probers` do
the asking (http, tcp, grpc, h2ping, script), each a function from a definition to a result; `runner` owns the
running checks and joins the two. Nothing here knows where results are stored or who reads them.

Source: Consul 1.10 docs, "Checks"; agent/checks.
"""
