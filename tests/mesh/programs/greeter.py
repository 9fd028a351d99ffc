"""Greets by gRPC at the port given, once or in a stream. Knows nothing of any mesh."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc


def greet(name: bytes, context: grpc.ServicerContext) -> bytes:
    return b"hello " + name


def chat(names: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    for name in names:
        yield b"hello " + name


def serve(address: str, workers: int = 8) -> tuple[grpc.Server, int]:
    """Start serving; returns the server and its port."""
    server = grpc.server(ThreadPoolExecutor(workers))
    handlers = {
        "Greet": grpc.unary_unary_rpc_method_handler(greet),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("hello.Greeter", handlers),))
    port = server.add_insecure_port(address)
    server.start()
    return server, port


if __name__ == "__main__":
    serve(f"[::]:{sys.argv[1]}")[0].wait_for_termination()
