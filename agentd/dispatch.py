"""From an accepted order to its result: holding, asking, waiting for a place, doing, ending.

The only caller of executors and the only maker of `Work`. Each order is one task; whatever happens
in it, the order ends in exactly one `Ending`, which the outbox signs. Judges nothing itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import JsonValue

from agentd.approvals import Approvals
from agentd.clock import Clock, to_ms
from agentd.errors import ExecutorError, StateUnavailableError, UploadError
from agentd.executors.base import Executor, Work, parse_params
from agentd.faults import fault_point
from agentd.log import log
from agentd.orders import Ending, Order
from agentd.outbox import Outbox
from agentd.outlet import Outlet
from agentd.peers import Peers
from agentd.progress import cut_progress
from agentd.sandbox import Sandbox
from agentd.sealed import cover_output, was_sealed
from agentd.state import StateDatabase
from agentd.state.orders import set_cancelled, set_order_state
from agentd.tokens import Tokens
from agentd.uploads import Uploads
from agentd.usage import UsageLedger
from agentd.verifier import Verifier
from agentd.workspace import Workspace
from protocol import limits
from protocol.authority import Grant
from protocol.canonical import canonical_json
from protocol.errors import AuthorityError, BadJsonError, Error
from protocol.messages import ApprovalRule, IntentProgress, OutputFile, ResultStatus
from protocol.strict_json import check_json_profile

MAX_WORK_OUTPUT_BYTES: Final = 64 * 1024 * 1024
"""What an executor may return at all; beyond a result's bound it goes by upload."""
_MAX_OUTPUT_DEPTH: Final = limits.MAX_JSON_DEPTH - 2
_STARTED_STATUS_SECONDS: Final = 1.0
_LONGEST_SLEEP_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 1.0


class Dispatch:
    """The orders of this agent that have no result yet."""

    def __init__(
        self,
        executors: Mapping[str, Executor],
        *,
        state: StateDatabase,
        verifier: Verifier,
        approvals: Approvals,
        ledger: UsageLedger,
        outbox: Outbox,
        outlet: Outlet,
        uploads: Uploads,
        peers: Peers,
        tokens: Tokens,
        clock: Clock,
        workspace: Workspace,
        make_sandbox: Callable[[str | None], Sandbox],
        max_running: int,
    ) -> None:
        self.orders: dict[str, Order] = {}
        self._executors = executors
        self._state = state
        self._verifier = verifier
        self._approvals = approvals
        self._ledger = ledger
        self._outbox = outbox
        self._outlet = outlet
        self._uploads = uploads
        self._peers = peers
        self._tokens = tokens
        self._clock = clock
        self._workspace = workspace
        self._make_sandbox = make_sandbox
        self._max_running = max_running
        self._place_free = asyncio.Event()
        self._closing = False

    # --- from outside ---

    def admit(self, order: Order) -> None:
        """Take an order that is on disk; its task runs from now until its result is stored."""
        self.orders[order.id] = order
        order.task = asyncio.create_task(self._run(order), name=f"order-{order.id}")

    async def cancel(self, order: Order) -> None:
        """An authorised cancel came: end the order, unless its end is already decided."""
        await self._state.write(lambda connection: set_cancelled(connection, order.id))
        self._stop(order, Ending(ResultStatus.CANCELLED, code="cancelled", message="cancelled"))

    def stop_running(self, ending: Ending) -> None:
        """End everything that runs now; what has not started is judged when it would start."""
        for order in list(self.orders.values()):
            if order.started:
                self._stop(order, ending)

    async def close(self, grace_seconds: float) -> None:
        """Start nothing more; give what runs the grace time, then end it as `interrupted`.

        Idempotent work and what has not started stays on disk and goes on at the next start.
        """
        self._closing = True
        for order in list(self.orders.values()):
            if not order.started and not order.ending and order.task is not None:
                order.task.cancel()
        running = [order.task for order in self.orders.values() if order.task is not None]
        if running:
            await asyncio.wait(running, timeout=grace_seconds)
        left = [order for order in self.orders.values() if order.task is not None]
        for order in left:
            if self._is_idempotent(order):
                if not order.ending and order.task is not None:
                    order.task.cancel()
            else:
                self._stop(order, Ending(ResultStatus.INTERRUPTED, message="the agent stopped"))
        tasks = [order.task for order in left if order.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=max(grace_seconds, 1.0))

    # --- one order ---

    async def _run(self, order: Order) -> None:
        try:
            ending = await self._reach_end(order)
        except asyncio.CancelledError:
            if order.stop is None:
                self.orders.pop(order.id, None)
                raise  # the process ends; the order stays on disk
            ending = order.stop
        order.ending = True
        try:
            await self._outbox.finish(order, ending)
            log("info", "order_ended", intent=order.id, status=ending.status, code=ending.code)
        finally:
            self._ledger.end(order.id)
            self._ledger.forget(order.id)
            self.orders.pop(order.id, None)
            self._place_free.set()

    async def _reach_end(self, order: Order) -> Ending:
        while True:
            try:
                grant = await self._make_ready(order)
                break
            except AuthorityError as exc:
                return Ending.refused(exc)
            except StateUnavailableError as exc:
                log("error", "order_waits_for_disk", intent=order.id, error=exc.message)
                await asyncio.sleep(_RETRY_SECONDS)
        return await self._do(order, grant)

    async def _make_ready(self, order: Order) -> Grant:
        """Return the grant of an order that may start now, its start on disk.

        Raises:
            AuthorityError: it may not, or no longer.
            StateUnavailableError: the disk does not take it now.
        """
        while not self._verifier.is_due(order.intent):
            order.grant = None
            await self._sleep_until_due(order)
        satisfied: ApprovalRule | None = None
        while True:
            grant = order.grant
            if grant is None or order.judged_at != self._verifier.changes:
                self._verifier.is_due(order.intent)
                order.judged_at = self._verifier.changes
                order.grant = grant = self._verifier.authorize(order.intent)
            asked = grant.decision.approval
            if asked is not None and asked != satisfied:
                # A policy that came meanwhile may ask more than the one people have answered.
                order.approvals = await self._approvals.obtain(order, grant)
                satisfied, order.grant = asked, None
            elif self._must_wait(grant):
                order.grant = None
                await self._wait_for_place()
            else:
                break
        # Counted before the disk is asked: two orders cannot both take the last place.
        self._ledger.start(order.id)
        order.started = True
        try:
            await self._store_start(order)
        except BaseException:
            self._ledger.end(order.id)
            order.started = False
            self._place_free.set()
            raise
        return grant

    async def _wait_for_place(self) -> None:
        self._place_free.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_SLEEP_SECONDS):
                await self._place_free.wait()

    def _must_wait(self, grant: Grant) -> bool:
        if self._closing or len(self._ledger.running) >= self._max_running:
            return True
        return self._verifier.check_place(grant) is not None

    async def _store_start(self, order: Order) -> None:
        """Put the start on disk, unless the action may simply run again after a crash."""
        order.started_at = self._clock.now()
        if not self._is_idempotent(order):
            started_ms = to_ms(order.started_at)
            await self._state.write(
                lambda connection: set_order_state(connection, order.id, "started", started_ms)
            )
        fault_point("intent_started")

    async def _sleep_until_due(self, order: Order) -> None:
        not_before = order.order.not_before
        assert not_before is not None
        left = (not_before - self._clock.later()).total_seconds()
        # In steps: the machine may sleep, and its clock may be set.
        await asyncio.sleep(min(max(left, 0.001), _LONGEST_SLEEP_SECONDS))

    async def _do(self, order: Order, grant: Grant) -> Ending:
        """Run the executor inside its time, and return what came of it."""
        executor = self._executors[order.order.action]
        seconds = float(order.order.timeout_seconds)
        started_note = asyncio.get_running_loop().call_later(
            _STARTED_STATUS_SECONDS, self._report, order, "status", "started"
        )
        try:
            sandbox = self._make_sandbox(grant.decision.sandbox)
            order.sandbox = sandbox.describe()
            deadline = time.monotonic() + seconds
            work = Work(
                grant=grant,
                params=parse_params(executor, order.order.params),
                workspace=self._workspace,
                sandbox=sandbox,
                deadline=deadline,
                progress=lambda kind, data: self._report(order, kind, data),
                domains=grant.decision.domains,
                max_output_bytes=MAX_WORK_OUTPUT_BYTES,
                peers=self._peers.work_for(grant, deadline),
                tokens=self._tokens.work_for(order.id),
            )
            async with asyncio.timeout(seconds) as limit:
                output = await executor.execute(work)
                fault_point("action_done")
                return await self._deliver(order, output)
        except TimeoutError:
            if not limit.expired():  # the work's own, not the order's
                return Ending(ResultStatus.FAILED, code="executor_failed", message="TimeoutError")
            return Ending(
                ResultStatus.TIMED_OUT,
                code="timed_out",
                message=f"not done after {order.order.timeout_seconds} s",
            )
        except Error as exc:
            return Ending(ResultStatus.FAILED, code=exc.code, message=exc.message)
        except Exception as exc:
            # A plug-in is foreign code: its fault is this order's, and the log's, not the hub's.
            log("error", "executor_crashed", intent=order.id, error=repr(exc))
            return Ending(ResultStatus.FAILED, code="executor_failed", message=type(exc).__name__)
        finally:
            started_note.cancel()

    async def _deliver(self, order: Order, output: JsonValue) -> Ending:
        """Return success with the output in the result, or in the hub's file store if too big.

        Raises:
            ExecutorError: the output is no JSON of the profile.
            UploadError: too big, and no upload was granted or it failed.
        """
        try:
            canonical_json(output)
            output = cover_output(order, output)
            data = canonical_json(output)
        except BadJsonError as exc:
            raise ExecutorError("bad_output", f"the output is not JSON: {exc.message}") from exc
        if len(data) <= limits.MAX_OUTPUT_BYTES:
            try:
                check_json_profile(
                    {"output": output, "room": [0] * 64}, max_depth=_MAX_OUTPUT_DEPTH
                )
                return Ending(ResultStatus.SUCCEEDED, output=output)
            except BadJsonError:
                log("info", "output_by_upload", intent=order.id, why="outside the profile")
        try:
            digest = await self._uploads.send(order.id, data)
        except UploadError as exc:
            return Ending(ResultStatus.FAILED, code=exc.code, message=exc.message)
        file = OutputFile(bytes=len(data), sha256=digest)
        return Ending(ResultStatus.SUCCEEDED, output_file=file)

    # --- small parts ---

    def _report(self, order: Order, kind: str, data: JsonValue) -> None:
        """Send progress; `usage` is counted here and goes into the result instead."""
        if kind == "usage":
            counts: Any = data if isinstance(data, dict) else {}
            self._ledger.spend(
                order.id,
                tokens=int(min(max(0.0, float(counts.get("tokens", 0))), limits.MAX_USED)),
                cents=min(max(0.0, float(counts.get("cents", 0))), limits.MAX_USED),
            )
            return
        if order.ending or (was_sealed(order.intent) and kind != "status"):
            return
        try:
            shown = cut_progress(data)
        except BadJsonError:
            log("info", "progress_dropped", intent=order.id, why="outside the profile")
            return
        frame = IntentProgress.model_validate(
            {"intentId": order.id, "index": order.progress_count, "kind": kind, "data": shown}
        )
        if self._outlet.send(frame, droppable=True):
            order.progress_count += 1

    def _stop(self, order: Order, ending: Ending) -> None:
        if order.ending or order.stop is not None or order.task is None:
            return
        order.stop = ending
        order.task.cancel()

    def _is_idempotent(self, order: Order) -> bool:
        executor = self._executors.get(order.order.action)
        return executor is not None and executor.idempotent
