"""Names to answers: Consul's DNS interface.

`names` reads a question's name into a lookup value, `answers` and `instances` turn it into records (pure,
over the `view` protocol that the derived values implement), `trimming` makes them fit the transport,
`queries` and `replies` are the wire form. `responder` joins these into bytes in, bytes out, with a `cache` of
ready replies; `recursion` asks other name servers; `server` runs the sockets that `listeners` binds.

Source: Consul 1.10 docs, "DNS Interface" and agent/dns.go; RFC 1035, 2782, 6891, 7766.
"""
