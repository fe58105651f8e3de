"""A listener that closes serves whoever had connected before."""

import pytest

from serving.running import printed

PROGRAM = """
    import gevent
    from gevent import socket
    from gevent.pool import Pool
    from gevent.server import StreamServer
    from authapp.serving.draining_listener import DrainingListener

    def answer(client, address):
        client.recv(1)
        client.sendall(b"!")
        client.close()

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(16)
    address = listening.getsockname()
    server = {kind}(listening, handle=answer, spawn=Pool(8))
    server.start()
    # Nothing yields to the loop here, so that nobody has been accepted when the server closes.
    waiting = []
    import socket as native
    for _ in range(5):
        client = native.create_connection(address)
        client.setblocking(False)
        waiting.append(client)
    server.close()

    answers = 0
    for client in waiting:
        client = socket.socket(fileno=client.detach())
        try:
            client.sendall(b"?")
            answers += client.recv(1) == b"!"
        except OSError:
            pass
    print(answers)
    try:
        native.create_connection(address)
    except ConnectionRefusedError:
        print("closed")
"""


@pytest.mark.parametrize(("kind", "answers"), [("DrainingListener", 5), ("StreamServer", 0)])
def test_whoever_waits_in_the_queue_is_served_before_the_listener_closes(kind: str, answers: int) -> None:
    assert printed(PROGRAM.format(kind=kind)) == f"{answers}\nclosed\n"
