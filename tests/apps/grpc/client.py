"""Calls the service in every way. python client.py ADDRESS [CASE]; says what went wrong, and at the end "passed N".
With CA_FILE in the environment over TLS, where the other side has to be example.test."""

import os
import queue
import sys
import time

import grpc

options = [("grpc.enable_retries", 0), ("grpc.ssl_target_name_override", "example.test")]
if "CA_FILE" in os.environ:
    with open(os.environ["CA_FILE"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    channel = grpc.secure_channel(sys.argv[1], credentials, options)
else:
    channel = grpc.insecure_channel(sys.argv[1], options[:1])
unary = channel.unary_unary("/test.Echo/Unary")
server_stream = channel.unary_stream("/test.Echo/ServerStream")
client_stream = channel.stream_unary("/test.Echo/ClientStream")
bidi = channel.stream_stream("/test.Echo/Bidi")
wait = channel.unary_unary("/test.Echo/Wait")
counts = channel.unary_unary("/test.Echo/Counts")


def code_of(call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def case_unary():
    answer, call = unary.with_call(b"hello", timeout=20, metadata=(("x-sent", "this"),))
    assert answer == b"hello"
    trailers = dict(call.trailing_metadata())
    assert trailers["x-trailer"] == "unary" and trailers["x-seen"] == "this", trailers
    large = bytes(range(256)) * 10_000
    assert unary(large, timeout=20) == large


def case_server_stream():
    assert [int(part) for part in server_stream(b"1000", timeout=20)] == list(range(1000))


def case_client_stream():
    assert client_stream((b"x" * 10_000 for _ in range(300)), timeout=20) == b"3000000"


def case_bidi_takes_turns():
    questions = queue.Queue()
    answers = bidi(iter(questions.get, None), timeout=20)
    for number in range(50):
        question = f"question {number}".encode()
        questions.put(question)
        assert next(answers) == question[::-1]
    questions.put(None)
    assert list(answers) == []


def case_errors():
    assert code_of(channel.unary_unary("/test.Echo/Fail"), b"", timeout=20) == (
        grpc.StatusCode.NOT_FOUND,
        "nothing of that name",
    )
    assert code_of(channel.unary_unary("/test.Echo/Other"), b"", timeout=20)[0] == grpc.StatusCode.UNIMPLEMENTED


def wait_for(wanted):
    until = time.monotonic() + 15
    while counts(b"", timeout=20) != wanted:
        assert time.monotonic() < until, (counts(b"", timeout=20), wanted)
        time.sleep(0.01)


def case_deadlines_and_cancellation_reach_the_target():
    waited, ended = map(int, counts(b"", timeout=20).split())
    assert code_of(wait, b"", timeout=0.5)[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(f"{waited + 1} {ended + 1}".encode())
    call = wait.future(b"", timeout=50)
    wait_for(f"{waited + 2} {ended + 1}".encode())
    call.cancel()
    wait_for(f"{waited + 2} {ended + 2}".encode())


def case_a_hundred_at_once():
    calls = [unary.future(str(number).encode(), timeout=20) for number in range(100)]
    assert [int(call.result()) for call in calls] == list(range(100))


def case_unavailable():
    code, _ = code_of(unary, b"", timeout=20)
    assert code == grpc.StatusCode.UNAVAILABLE, code


cases = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
named = sys.argv[2:] or [name for name in cases if name != "unavailable"]
passed = 0
for name in named:
    try:
        cases[name]()
        passed += 1
    except Exception as error:
        print(f"{name}: {error!r}")
print(f"passed {passed}")
