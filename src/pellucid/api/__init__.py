"""Consul's HTTP API: `/v1` on TCP and unix sockets.

    server, connection    sockets and HTTP/1.1: bytes to requests, answers to bytes, limits
    app, router           the endpoint of a path, and what its handler's decision comes to
    endpoints             the table: every path, its methods, its handler
    handlers/             a module per family of endpoints: what each request decides
    outcome               the three kinds of decision: answer, read (a query), commit (changes)
    blocking              reads held until their answer changes
    filtering/            the language of `?filter=`
    shapes                nodes, services and checks as JSON
    registrations         registrations as changes to the log
    workload_access       who may have a service's keys

Handlers are functions of a request and the state; `app` alone waits and commits. Reads are queries of
the engine whose value is ready JSON, so a repeated read costs a look-up and a blocked one is woken by
exactly the changes that alter its answer.
"""
