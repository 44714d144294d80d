"""A gRPC service without generated code: messages are bytes. python server.py PORT [KEY CERTIFICATE]"""

import sys
import threading
from concurrent import futures

import grpc

cancelled = 0
waiting = 0


def unary(request, context):
    metadata = dict(context.invocation_metadata())
    context.set_trailing_metadata((("x-trailer", "unary"), ("x-seen", metadata.get("x-sent", "nothing"))))
    return request


def server_stream(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def client_stream(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def bidi(requests, context):
    for request in requests:
        yield request[::-1]


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "nothing of that name")


def wait(request, context):
    global cancelled, waiting
    over = threading.Event()
    context.add_callback(over.set)
    waiting += 1
    over.wait(60)
    cancelled += 1
    return b""


def counts(request, context):
    return f"{waiting} {cancelled}".encode()


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "Bidi": grpc.stream_stream_rpc_method_handler(bidi),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Wait": grpc.unary_unary_rpc_method_handler(wait),
    "Counts": grpc.unary_unary_rpc_method_handler(counts),
}

server = grpc.server(futures.ThreadPoolExecutor(max_workers=64))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", METHODS),))
address = f"127.0.0.1:{sys.argv[1]}"
if len(sys.argv) > 2:
    pair = tuple(open(path, "rb").read() for path in sys.argv[2:4])
    port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
else:
    port = server.add_insecure_port(address)
if port == 0:
    sys.exit("the port is taken")
server.start()
server.wait_for_termination()
