"""A TCP proxy on loopback whose connections a test can cut or swallow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class TcpProxy:
    """Forwards bytes both ways.

    Attributes:
        port: where it listens.
        refusing: new connections are closed at once.
        swallowing: bytes from the server are read and dropped, and no connection is closed.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.refusing = False
        self.swallowing = False
        self._target = (host, port)
        self._running: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Reset every connection."""
        for task in list(self._running):
            task.cancel()

    async def close(self) -> None:
        self.refusing = True
        self.cut()
        await asyncio.gather(*self._running, return_exceptions=True)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            if self.refusing:
                return
            there, back = await asyncio.open_connection(*self._target)
            ends.append(back)
            pipes = [
                asyncio.ensure_future(self._pipe(reader, back)),
                asyncio.ensure_future(self._pipe(there, writer, answer=True)),
            ]
            try:
                await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pipe in pipes:
                    pipe.cancel()
                await asyncio.gather(*pipes, return_exceptions=True)
        finally:
            for end in ends:
                end.transport.abort()
            for end in ends:
                with suppress(OSError):
                    await end.wait_closed()

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: bool = False
    ) -> None:
        while data := await reader.read(65536):
            if answer and self.swallowing:
                continue
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def tcp_proxy(host: str, port: int) -> AsyncIterator[TcpProxy]:
    proxy = TcpProxy(host, port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
