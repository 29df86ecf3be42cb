"""A conversation goes on after its connection broke: nothing is lost, nothing is heard twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.execution.messages import FrameReader
from dnaml.execution.on_ray import wire


def frames(data: bytes) -> list[bytes]:
    return list(FrameReader().feed(data))


def heard(side: wire.Conversation, data: bytes) -> list[str]:
    bodies = [side.hear(frame) for frame in frames(data)]
    return [message.job_id for body in bodies if body is not None for message in wire.for_agent(body)]


def test_what_was_not_confirmed_is_said_again_and_heard_once():
    engine, agent = wire.Conversation(), wire.Conversation()
    first = engine.say(wire.Forget("a"))
    engine.say(wire.Forget("b"))  # lost with the connection
    assert heard(agent, first) == ["a"]
    assert heard(agent, engine.again(agent.received)) == ["b"]
    assert heard(agent, engine.again(0)) == []


@given(st.lists(st.booleans(), max_size=30))
def test_every_message_arrives_once_and_in_order_however_often_the_connection_breaks(arrives: list[bool]):
    engine, agent, got = wire.Conversation(), wire.Conversation(), []
    for number, whole in enumerate(arrives):
        frame = engine.say(wire.Forget(str(number)))
        if whole:
            got += heard(agent, engine.again(agent.received))
        got += heard(agent, frame) if whole else []
    got += heard(agent, engine.again(agent.received))
    assert got == [str(number) for number in range(len(arrives))]


def test_beats_are_not_kept_and_carry_what_was_received():
    engine, agent = wire.Conversation(), wire.Conversation()
    heard(agent, engine.say(wire.Forget("a")))
    (beat,) = frames(agent.aside(wire.Beat()))
    assert engine.hear(beat) is not None
    assert engine.again(0) == b""


@pytest.mark.parametrize("other", [(b"other", "agent", b"n"), (b"token", "engine", b"n"), (b"token", "agent", b"m")])
def test_a_proof_holds_for_one_token_one_side_and_one_nonce(other: tuple[bytes, str, bytes]):
    assert wire.proof(b"token", "agent", b"n") == wire.proof(b"token", "agent", b"n")
    assert wire.proof(b"token", "agent", b"n") != wire.proof(*other)


def test_small_messages_of_one_moment_share_a_frame_and_large_ones_stay_apart_in_order():
    engine, agent = wire.Conversation(), wire.Conversation()
    said = [wire.Forget("a"), wire.Forget("b"), wire.Chunk("c", 0, b"data"), wire.Forget("d")]
    data = engine.say_all(said, wire.Orders)
    assert len(frames(data)) == 3
    got = [message for frame in frames(data) for message in wire.for_agent(agent.hear(frame) or b"")]
    assert got == said
    assert engine.say_all([], wire.Orders) == b""
