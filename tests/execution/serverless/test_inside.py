"""What runs inside a function that carries pickled calls."""

from dnaml.execution import messages, pickling
from dnaml.execution.serverless.inside import run_call
from tests.execution.serverless.work import double, fails


def ran(function, *args, parts: int = 1, start: float = 0.0, share: float = 1.0) -> messages.Ended:
    body, digest = pickling.dumps_function(function)
    payload = messages.Payload(b"", body, digest, pickling.dumps_arguments(args, {}), b"{}", False)
    message = messages.decode_from_worker(run_call(messages.encode(payload), 0, parts, start, share))
    assert isinstance(message, messages.Ended)
    return message


def test_the_result_comes_as_bytes_with_its_digest():
    ended = ran(double, 4)
    result = messages.decode_outcome(ended.outcome).result
    assert (ended.state, pickling.loads(result), pickling.digest(result)) == ("done", 8, ended.digest)


def test_the_works_own_error_comes_back_as_its_end():
    ended = ran(fails)
    assert (ended.state, ended.error) == ("failed", "ValueError: no luck")


def test_a_part_gets_its_slice_of_the_first_argument():
    ended = ran(sum, [1, 2, 3, 4], parts=2, start=0.5, share=0.5)
    assert pickling.loads(messages.decode_outcome(ended.outcome).result) == 7
