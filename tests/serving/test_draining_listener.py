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
    server.backlog = {backlog}
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
    assert printed(PROGRAM.format(kind=kind, backlog=16)) == f"{answers}\nclosed\n"


def test_no_more_are_served_than_fit_into_the_queue_however_fast_others_connect() -> None:
    assert printed(PROGRAM.format(kind="DrainingListener", backlog=2)) == "3\nclosed\n"


def test_whoever_connects_while_it_closes_is_served() -> None:
    out = printed(
        """
        import socket as native
        from gevent import socket
        from gevent.pool import Pool
        from authapp.serving.draining_listener import DrainingListener

        def answer(client, address):
            client.sendall(b"!")
            client.close()

        class Late(DrainingListener):
            def stop_accepting(self):
                if not late:
                    late.append(native.create_connection(address))
                super().stop_accepting()

        late = []
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        address = listening.getsockname()
        server = Late(listening, handle=answer, spawn=Pool(8))
        server.start()
        server.close()
        print(socket.socket(fileno=late[0].detach()).recv(1))
        """
    )
    assert out == "b'!'\n"


def test_a_listener_shared_with_other_workers_leaves_them_some_until_there_is_a_crowd() -> None:
    out = printed(
        """
        import gevent.pool
        import gevent.socket
        from authapp.serving.draining_listener import MANY_CONNECTIONS, DrainingListener

        listener = gevent.socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        pool = gevent.pool.Pool(MANY_CONNECTIONS * 2)
        server = DrainingListener(listener, handle=print, spawn=pool)
        server.shared = True
        few = server.max_accept
        for _ in range(MANY_CONNECTIONS + 1):
            pool.spawn(gevent.sleep, 60)
        print(few, server.max_accept)
        """
    )
    assert out == "1 16\n"
