"""The client is tested against the server that the server's tests use."""

from tests.server.conftest import sample_server

__all__ = ["sample_server"]
