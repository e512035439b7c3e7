"""A client and its way to the upstream: two flows that live and die together."""

from __future__ import annotations

import errno
import os
import socket
from time import monotonic
from typing import TYPE_CHECKING, Final

from pytest_smartattend.injectors.wire.flow import Endpoint, Flow
from pytest_smartattend.injectors.wire.holds import Hold, take_hold
from pytest_smartattend.injectors.wire.loop import Loop

if TYPE_CHECKING:
    from pytest_smartattend.injectors.wire.grip import ActiveFault
    from pytest_smartattend.injectors.wire.proxy import Proxy

#: seconds until a Unix socket whose backlog is full is tried again
_RETRY: Final = 0.005


class Connection:
    """One accepted client.

    Attributes:
        client_port: the port that the client came from.
        linked: the upstream is connected, and bytes may pass.
        gone: both sockets are closed.
        wait: seconds to wait before the upstream is connected; faults add to it before `open`.
    """

    def __init__(self, proxy: Proxy, client: socket.socket, upstream: socket.socket, client_port: int) -> None:
        self.loop: Loop = proxy.loop
        self.linked = False
        self.gone = False
        self.opened = False
        self.wait = 0.0
        self.client_port = client_port
        self._proxy = proxy
        self._client = Endpoint(self.loop, client)
        self._upstream = Endpoint(self.loop, upstream)
        self.up = Flow(self, self._client, self._upstream, "up")
        self.down = Flow(self, self._upstream, self._client, "down")
        self._holds: dict[ActiveFault, Hold] = {}

    def suffer(self, active: ActiveFault) -> None:
        """Let an installed fault take hold of this connection, if it is drawn."""
        grip = active.meet()
        if grip is not None:
            self._holds[active] = take_hold(self, grip)

    def recover(self, active: ActiveFault) -> None:
        """Let a fault go."""
        hold = self._holds.pop(active, None)
        if hold is not None and not self.gone:
            hold.lift()

    def open(self) -> None:
        """Connect the upstream, after `wait`."""
        self.opened = True
        if self.wait:
            self.loop.call_at(monotonic() + self.wait, self._connect)
        elif not self.gone:
            self._connect()

    def abort(self) -> None:
        """Reset both ends, now."""
        self._close(reset=True)

    def hang_up(self) -> None:
        """Close both ends in order; what is ready to be sent is sent before."""
        if not self.linked or self._client.closed or self._upstream.closed:
            self.abort()
            return
        self.up.end()
        if not self.gone:
            self.down.end()

    def broke(self, endpoint: Endpoint) -> None:
        """The peer behind `endpoint` is gone. The other end learns it by the way that its bytes take, or does not."""
        if endpoint.closed:
            return
        endpoint.close()
        self.up.lost(endpoint)
        if not self.gone:
            self.down.lost(endpoint)

    def flow_finished(self) -> None:
        """One direction has ended; close when both have."""
        if self.up.finished and self.down.finished:
            self._close(reset=False)

    def _connect(self) -> None:
        if self.gone:
            return
        code = self._upstream.sock.connect_ex(self._proxy.upstream_address)
        if code == errno.EINPROGRESS:
            self._upstream.write_with(self._connected)
        elif code == errno.EAGAIN:
            self.loop.call_at(monotonic() + _RETRY, self._connect)
        else:
            self._link(code)

    def _connected(self) -> None:
        self._upstream.write_with(None)
        self._link(self._upstream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _link(self, code: int) -> None:
        self._proxy.upstream_error = os.strerror(code) if code else ""
        if code:
            self.abort()
            return
        self.linked = True
        self.up.pace()
        self.down.pace()

    def _close(self, *, reset: bool) -> None:
        if self.gone:
            return
        self.gone = True
        self.up.drop()
        self.down.drop()
        for hold in self._holds.values():
            hold.drop()
        self._holds.clear()
        self._client.close(reset=reset)
        self._upstream.close(reset=reset)
        self._proxy.closed(self)
