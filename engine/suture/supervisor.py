"""The supervisor: which channels there are, what an operator wants of each, and that no two of one name are at work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping

from twisted.internet import defer

from suture.config.site import ChannelFiles
from suture.model.errors import SutureError
from suture.reactor import Sockets
from suture.runtime import RunningChannel, reason_of, unbuilt


class Supervisor:
    """The channels of one engine. desired: channel to `running` or `stopped`. ending: nothing is started any more.

    files: the site's, by channel. make(files): a channel, not started; read(name): its files, read again; either may raise.
    tell(channel, desired, actual, reason), only(channel, destinations that it still has): to be written, in the order of the calls.
    full(): whether no source is to be read at present. drain_s(): how long what is in flight may take to end. bug(error): told
    what should not have been raised. The verbs of one channel are carried out one after another.
    """

    def __init__(
        self,
        files: MutableMapping[str, ChannelFiles],
        make: Callable[[ChannelFiles], RunningChannel],
        read: Callable[[str], Awaitable[ChannelFiles]],
        tell: Callable[[str, str, str, str], None],
        only: Callable[[str, Iterable[str]], None],
        full: Callable[[], bool],
        drain_s: Callable[[], float],
        bug: Callable[[Exception], None],
    ) -> None:
        self._files, self._make, self._read, self._told, self._only = files, make, read, tell, only
        self._full, self.drain_s, self._bug = full, drain_s, bug
        self._turns: defaultdict[str, defer.DeferredLock] = defaultdict(defer.DeferredLock)
        self.channels: dict[str, RunningChannel] = {}
        self.desired: dict[str, str] = {}
        self.ending = False

    async def begin(self, desired: dict[str, str]) -> None:
        """Make the site's channels, and start those of which nobody has desired that they are stopped."""
        self.desired = desired
        for name in list(self._files):
            await self._turns[name].run(self._begin, name)

    async def _begin(self, name: str) -> None:
        if self.ending or name in self.channels:
            return
        self._build(name)
        if self.desired.setdefault(name, "running") == "running":
            await self._try_to_start(name)
        else:
            self._tell(name)

    async def end(self) -> None:
        """Stop all that is at work, also what starts or stops, and tell what has become of each."""
        self.ending = True
        await defer.gatherResults([defer.Deferred.fromCoroutine(self._quit(one)) for one in self.channels.values() if one.working])
        for name in self.channels:
            self._tell(name)

    def held(self) -> Sockets:
        """The sockets of all connections, each with what ends it."""
        for channel in self.channels.values():
            yield from channel.held()

    async def start_channel(self, name: str) -> None:
        """Start a channel and keep it started. Raises SutureError when it cannot."""
        await self._turn(name).run(self._start, name)

    async def stop_channel(self, name: str) -> None:
        """Stop a channel and keep it stopped."""
        await self._turn(name).run(self._stop, name)

    async def restart_channel(self, name: str) -> None:
        """Stop a channel, and start it anew. Raises SutureError when it cannot be started."""
        await self._turn(name).run(self._restart, name)

    async def reload_channel(self, name: str) -> None:
        """Read the channel's files again, and swap it when they are right; other channels are untouched.

        Raises ConfigError when they are not, and SutureError when no channel can be made of them; it then goes on as it was.
        """
        files = await self._read(name)
        await self._turns[name].run(self._swap, name, files)

    def _turn(self, name: str) -> defer.DeferredLock:
        if name not in self.channels:
            raise SutureError(f"this engine has no channel {name!r}; it has {', '.join(sorted(self.channels))}")
        return self._turns[name]

    async def _start(self, name: str) -> None:
        self.desired[name] = "running"
        if self.channels[name].actual != "running":
            await self._emptied(name)
            self._build(name)
            await self._try_to_start(name)
        self._require_running(name)

    async def _stop(self, name: str) -> None:
        self.desired[name] = "stopped"
        await self._emptied(name)
        self.channels[name].become("rest", "")
        self._tell(name)

    async def _restart(self, name: str) -> None:
        await self._stop(name)
        await self._start(name)

    async def _swap(self, name: str, files: ChannelFiles) -> None:
        self._require_going()
        try:
            channel = self._make(files)
        except Exception as e:
            self._bug(e)
            raise SutureError(f"channel {name} cannot be built of its new files: {reason_of(e)}") from None
        self._files[name] = files
        if name in self.channels:
            await self._emptied(name)
        self._put(channel)
        if self.desired.setdefault(name, "running") == "running":
            await self._try_to_start(name)
            self._require_running(name)

    def _require_going(self) -> None:
        if self.ending:
            raise SutureError("the engine is stopping")

    def _require_running(self, name: str) -> None:
        if self.channels[name].actual != "running":
            raise SutureError(f"channel {name}: {self.channels[name].reason}")

    def _build(self, name: str) -> None:
        """Make the channel of its files; one that cannot be made says why, and keeps no other down."""
        try:
            channel = self._make(self._files[name])
        except Exception as e:
            self._bug(e)
            channel = unbuilt(name, f"it cannot be built: {reason_of(e)}")
        self._put(channel)

    def _put(self, channel: RunningChannel) -> None:
        was, self.channels[channel.name] = self.channels.get(channel.name), channel
        if was is not None:
            was.core.stop()  # also one that was built and never started keeps its tables until then
            channel.follow(was)

    async def _try_to_start(self, name: str) -> None:
        """Start a channel; one that cannot start does not keep the others down."""
        channel = self.channels[name]
        self._only(name, channel.lanes)
        self._told(name, self.desired[name], "starting", channel.reason)
        try:
            await channel.start(self.drain_s())
        except Exception as e:
            if not isinstance(e, SutureError):
                self._bug(e)
                await self._quit(channel)
            if self.ending:
                return
            channel.become("fail", reason_of(e))
            channel.log.error(f"the channel cannot start: {channel.reason}")
        channel.source.set_full(self._full())
        self._tell(name)

    async def _emptied(self, name: str) -> None:
        """Stop a channel that is at work, also one that stops by itself; all that it received and processed is durable then."""
        self._require_going()
        channel = self.channels[name]
        if channel.working:
            await channel.stop(self.drain_s())
        await channel.emptied()
        self._require_going()

    def halted(self, name: str, reason: str) -> None:
        """A channel that runs stops for this reason; one that starts sees to that by itself."""
        channel = self.channels[name]
        if channel.become("halt", reason):
            channel.log.error(reason)
            defer.Deferred.fromCoroutine(self._quit(channel)).addCallback(lambda _: self._tell(name))

    async def _quit(self, channel: RunningChannel) -> None:
        """Stop a channel; a bug in that is told, and keeps nobody from what comes next."""
        try:
            await channel.stop(self.drain_s())
        except Exception as e:
            self._bug(e)

    def _tell(self, name: str) -> None:
        channel = self.channels[name]
        self._told(name, self.desired[name], channel.actual, channel.reason)
