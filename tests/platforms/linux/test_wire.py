"""Messages between the engine and the launcher."""

import os
import socket
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from bldr_linux import wire

messages_of_all_sizes = st.lists(st.tuples(st.text(max_size=4), st.binary(max_size=300)), max_size=5)


def collect(sock, receiver):
    messages = []
    while (more := receiver.receive()) is not None:
        messages += more
    return messages


@settings(deadline=None, max_examples=50)
@given(messages_of_all_sizes, st.integers(1, 200))
def test_messages_come_out_as_they_went_in_however_they_are_cut(messages, step):
    data = b"".join(wire.frame(message) for message in messages)
    sender, receiver = socket.socketpair()
    with sender, receiver:
        arrived = []
        reader = wire.Receiver(receiver)
        for start in range(0, len(data), step):
            sender.send(data[start : start + step])
            arrived += reader.receive()
        sender.close()
        assert reader.receive() is None
    assert arrived == messages


def test_a_message_larger_than_the_socket_s_buffer():
    sender, receiver = socket.socketpair()
    message = ("start", 1, b"x" * 5_000_000)
    with receiver:
        thread = threading.Thread(target=lambda: (sender.sendall(wire.frame(message)), sender.close()))
        thread.start()
        assert collect(receiver, wire.Receiver(receiver)) == [message]
        thread.join()


def test_descriptors_keep_their_order_and_are_not_inherited():
    sender, receiver = socket.socketpair()
    pipes = [os.pipe() for _ in range(6)]
    reader = wire.Receiver(receiver)
    for number in range(0, 6, 3):
        fds = tuple(pipe[0] for pipe in pipes[number : number + 3])
        sender.sendmsg([wire.frame(("start", number))], wire.descriptors(fds))
        sender.sendall(wire.frame(("between", number)))
    sender.close()
    with receiver:
        assert collect(receiver, reader) == [("start", 0), ("between", 0), ("start", 3), ("between", 3)]
    assert [os.fstat(fd).st_ino for fd in reader.fds] == [os.fstat(pipe[0]).st_ino for pipe in pipes]
    assert not any(os.get_inheritable(fd) for fd in reader.fds)
    for fd in (*reader.fds, *(fd for pipe in pipes for fd in pipe)):
        os.close(fd)


def test_a_peer_that_died_with_unread_messages_is_the_end_of_the_stream():
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(wire.frame(("never", "read")))
        theirs.close()
        assert wire.Receiver(ours).receive() is None
