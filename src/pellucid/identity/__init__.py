"""Who everyone is: the certificate authority, root rotation, leaf certificates, workload credentials.

Values in, values out: time, keys, serial numbers and randomness are arguments, so every
certificate and every schedule can be made again in a test. Imports only `model`.
"""
