import json
import socket
import unittest

from web import Answer, Problem, Request, Server, as_json, read_message


def echo(request: Request) -> Answer:
    if request.path == "/missing":
        raise Problem(404, "nothing here")
    return as_json({"parts": request.parts, "query": request.query, "client": request.client})


class ServerTest(unittest.TestCase):
    def setUp(self) -> None:
        near, far = socket.socketpair()
        self.thread = Server(echo).start(far)
        self.link, self.stream = near, near.makefile("rb")

    def tearDown(self) -> None:
        self.stream.close()
        self.link.close()
        self.thread.join()

    def ask(self, text: str) -> tuple[str, dict]:
        self.link.sendall(text.encode())
        message = read_message(self.stream)
        return message.start, json.loads(message.body)

    def test_answers_several_requests_on_one_connection(self) -> None:
        for name in ("first", "second"):
            start, body = self.ask(f"GET /a/b?c={name} HTTP/1.1\r\nX-Client: {name}\r\n\r\n")
            self.assertEqual(start, "HTTP/1.1 200 OK")
            self.assertEqual(body, {"parts": ["a", "b"], "query": {"c": name}, "client": name})

    def test_problem_becomes_its_status(self) -> None:
        start, body = self.ask("GET /missing HTTP/1.1\r\n\r\n")
        self.assertEqual((start[9:12], body), ("404", {"error": "nothing here"}))

    def test_closes_when_asked_to(self) -> None:
        self.ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        self.assertEqual(self.stream.read(), b"")

    def test_health_needs_no_service(self) -> None:
        self.assertEqual(self.ask("GET /healthz HTTP/1.1\r\n\r\n")[1], {"status": "ok"})

    def test_length_that_is_no_number_is_refused(self) -> None:
        start, _ = self.ask("POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n")
        self.assertEqual(start[9:12], "400")
