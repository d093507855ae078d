"""A port comes in, another port that leads to it goes out; cuts every connection that runs through it as a broken network does, by RST."""

import asyncio
import contextlib
import socket
import struct
import threading
from typing import Self

_RST_AT_CLOSE = struct.pack("ii", 1, 0)


class TcpProxy:
    """For `with`. Connections that are refused behind it are reset before it."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def reset_all(self) -> int:
        """RST to both sides of every connection; how many connections there were."""

        async def reset() -> int:
            return self._reset()

        return asyncio.run_coroutine_threadsafe(reset(), self._loop).result(10)

    def _reset(self) -> int:
        for writer in self._writers:
            _reset(writer)
        return len(self._writers) // 2

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        self._reset()
        # What was just being connected isn't reset yet; nothing is left behind after a second.
        while self._tasks:
            await asyncio.sleep(0.01)
            self._reset()

    async def _accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            _reset(near)
            return
        self._writers |= {near, far}
        try:
            await asyncio.gather(_carry(near_reader, far), _carry(far_reader, near))
        finally:
            self._writers -= {near, far}
            near.transport.abort()
            far.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    found: socket.socket | None = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_AT_CLOSE)
    writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until either end closes; the other direction then ends, too."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
