"""The operator's requests, carried out by the running engine: rows of `command`, seen within a fraction of a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from twisted.internet import defer

from suture.model import verbs
from suture.model.errors import ConfigError, SutureError
from suture.model.events import Event
from suture.model.message import Message
from suture.model.payload import Payload
from suture.model.verbs import OfChannel, Result, Verb
from suture.observe.logs import Log
from suture.pipeline.rendering import remade
from suture.ports import Delivery, TimeOfDay, Unrendered
from suture.runtime import RunningChannel, durably
from suture.store import again, state
from suture.store.backlog import Reader
from suture.store.journal import Journal
from suture.store.state import Request
from suture.supervisor import Supervisor

POLL_S = 0.2
Obey = Callable[[Any], Awaitable[Result]]


class Commands:
    """Polls for requests and carries them out one after another; every one is answered."""

    def __init__(self, rooms: Supervisor, journal: Journal, reader: Reader, clock: TimeOfDay) -> None:
        self._rooms, self._journal, self._reader, self._clock = rooms, journal, reader, clock
        self._write = partial(durably, journal)
        self._log = Log()
        self._stopped = False
        self._obey: dict[type[Verb], Obey] = {
            verbs.StartChannel: lambda verb: self._change(verb, rooms.start_channel),
            verbs.StopChannel: self._stop,
            verbs.RestartChannel: lambda verb: self._change(verb, rooms.restart_channel),
            verbs.ReloadChannel: lambda verb: self._change(verb, rooms.reload_channel),
            verbs.Resync: self._resync,
            verbs.Resend: self._resend,
            verbs.Release: self._release,
            verbs.Reprocess: self._reprocess,
        }

    def start(self) -> None:
        """Poll, until `stop`."""
        if not self._stopped:
            self._reader.read(state.requests, self._found)

    def stop(self) -> None:
        """Take no more requests."""
        self._stopped = True

    def _found(self, requests: list[Request]) -> None:
        done: defer.Deferred[Any] = defer.Deferred.fromCoroutine(self._carry_out_all(requests))
        done.addCallbacks(lambda _: 0.0 if requests else POLL_S, self._unanswered)
        done.addCallback(lambda pause_s: self._clock.callLater(pause_s, self.start))

    def _unanswered(self, failure: Any) -> float:
        """A request stays, and is tried again after a pause."""
        self._log.error("a request could not be answered", failure.value)
        return POLL_S

    async def _carry_out_all(self, requests: list[Request]) -> None:
        for request in requests:
            if not self._stopped:
                ok, result = await self._carry_out(request)
                now_us = int(self._clock.seconds() * 1e6)
                await self._write("answer", partial(state.answer, request=request.id, ok=ok, result=result, now_us=now_us))

    async def _carry_out(self, request: Request) -> tuple[bool, Any]:
        try:
            verb = verbs.asked(request.verb, request.arguments)
            result = verbs.plain(await self._obey[type(verb)](verb))
        except ConfigError as e:
            return False, "\n".join(map(str, e.problems))
        except SutureError as e:
            return False, str(e)
        except Exception as e:  # left unanswered it would come again at once, and hold up all that come after it
            self._log.error("a request met an unexpected error; please report it", e, verb=request.verb)
            return False, f"unexpected error ({type(e).__name__}); the engine's log says where"
        self._log.info("carried out", verb=request.verb, request=request.id)
        return True, result

    # -- the verbs -------------------------------------------------------------------------------------------------

    async def _change(self, verb: OfChannel, change: Callable[[str], Awaitable[None]]) -> Result:
        await change(verb.channel)
        return verbs.ChannelIs(verb.channel, self._rooms.channels[verb.channel].actual)

    async def _stop(self, verb: verbs.StopChannel) -> Result:
        await self._rooms.stop_channel(verb.channel)
        return verbs.ChannelStopped(verb.channel, "stopped", self._rooms.channels[verb.channel].unanswered())

    async def _resync(self, verb: verbs.Resync) -> Result:
        channel = self._running(verb.channel)
        if channel is None:
            raise SutureError(f"channel {verb.channel} is not running")
        channel.resync(verb.destination)
        return f"{verb.destination} is resynchronised with its next message"

    def _running(self, name: str) -> RunningChannel | None:
        channel = self._rooms.channels.get(name)
        return channel if channel is not None and channel.actual == "running" else None

    async def _resend(self, verb: verbs.Resend) -> Result:
        now_us, numbers = int(self._clock.seconds() * 1e6), self._journal.sequences
        run = partial(again.resend, numbers=numbers, insist=verb.insist, now_us=now_us, going={})
        return await self._in_parts(again.parts(verb.ids, {}), True, run)

    async def _release(self, verb: verbs.Release) -> Result:
        now_us = int(self._clock.seconds() * 1e6)
        sizes = await self._write("sizes", lambda c: again.delivery_sizes(c, verb.ids))
        run = partial(again.release, now_us=now_us, render=partial(self._render, now_us))
        return await self._in_parts(again.parts(verb.ids, sizes), False, run)

    async def _in_parts(self, parts: Iterable[list[int]], new: bool, run: Callable[..., again.Again]) -> verbs.Sent:
        """Carry a request out part by part: what is acknowledged or delivered meanwhile does not wait for all of it."""
        sent = verbs.Sent([], [])
        for part in parts:
            what = await self._write("resend" if new else "release", partial(run, ids=part))
            sent.sent.extend(self._sent(what, new))
            sent.skipped.extend(what.skipped)
        return sent

    def _render(self, now_us: int, delivery: Delivery, message: Message, events: Sequence[Event]) -> Payload | Unrendered | str:
        """The payload that a delivery lacks, by today's mapping; on the writer's thread, as everything that is settled there."""
        channel = self._running(delivery.channel)
        if channel is None:
            return f"channel {delivery.channel} is not running"
        return remade(channel.core.plan, delivery, message, events, now_us)

    def _sent(self, what: again.Again, new: bool) -> Iterator[verbs.Going]:
        for delivery in what.deliveries:
            channel = self._rooms.channels.get(delivery.channel)
            if channel is not None and delivery.destination in channel.lanes:
                channel.lanes[delivery.destination].release(delivery, new)
            yield verbs.Going(delivery.id, delivery.original_id or delivery.id, delivery.destination)

    async def _reprocess(self, verb: verbs.Reprocess) -> Result:
        done = verbs.Reprocessed([], [])
        sizes = await self._write("sizes", lambda c: again.message_sizes(c, verb.ids))
        for part in again.parts(verb.ids, sizes):
            stored: list[again.Stored] = await self._write("read", partial(again.stored, ids=part, insist=verb.insist))
            there = {one.message.id for one in stored}
            done.skipped.extend(verbs.LeftMessage(i, "there is no such message") for i in part if i not in there)
            while stored:
                one = stored.pop(0)
                if why := await self._process_again(one):
                    done.skipped.append(verbs.LeftMessage(one.message.id, why))
                else:
                    done.reprocessed.append(one.message.id)
        return done

    async def _process_again(self, one: again.Stored) -> str:
        """Process a stored message again; why not, "" when it is done."""
        name = one.message.channel
        if one.left_alone:
            return one.left_alone
        channel = self._running(name)
        if channel is None:
            return f"channel {name} is not running"
        finished: defer.Deferred[None] = defer.Deferred()
        channel.core.process(one.message, one.taken, one.revision + 1, partial(finished.callback, None))
        await finished
        return "" if self._rooms.channels.get(name) is channel else f"channel {name} was stopped meanwhile"
