"""A gRPC service that answers with a stream, and its client.

greetings.py serve | greetings.py call ADDRESS NUMBER
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

METHOD = "/demo.Greetings/Count"


def count(request: bytes, _context: grpc.ServicerContext):
    """As many greetings as were asked for, one message each."""
    for number in range(int(request)):
        yield f"greeting {number + 1}".encode()


def serve() -> None:
    """Until killed."""
    server = grpc.server(ThreadPoolExecutor(4))
    handlers = {"Count": grpc.unary_stream_rpc_method_handler(count)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("demo.Greetings", handlers),))
    server.add_insecure_port("0.0.0.0:9000")
    server.start()
    server.wait_for_termination()


def call(address: str, number: str) -> None:
    """Print how many came, and the last one."""
    with grpc.insecure_channel(address) as channel:
        greetings = list(channel.unary_stream(METHOD)(number.encode(), timeout=10))
    print(f"{len(greetings)} messages, the last one: {greetings[-1].decode()}")


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else call(*sys.argv[2:])
