"""Ports of 127.0.0.1, and what servers answer there."""
import socket
import urllib.request


def free_port():
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def listens(port):
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


def page(port, path):
    """What the server there answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
        return answer.read()
