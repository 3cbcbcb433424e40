"""Orders whose parameters the hub cannot read: opened here, and their outcome sealed again.

Owns what of a sealed order may leave this process in the clear: states, codes and counts, never
its params, its output or a message that could quote them.
"""

from __future__ import annotations

import os
from dataclasses import replace

from pydantic import JsonValue

from agentd.orders import Ending, Order
from protocol.errors import BadParamsError
from protocol.messages import Intent
from protocol.sealing import SEED_BYTES, EncryptionKey, open_params, reply_key_of, seal_output
from protocol.verification import Verified

HIDDEN_MESSAGE = "sealed: what went wrong stands in the output, for who ordered it"


class Sealed:
    """Opens and seals with this agent's encryption key."""

    def __init__(self, key: EncryptionKey) -> None:
        self.key = key

    def open(self, intent: Verified[Intent]) -> Verified[Intent]:
        """Return the intent with its params in the clear.

        One that does not open is returned as it is: judging it ends in `bad_params`, after the
        checks that come before.
        """
        if intent.payload.sealed is None:
            return intent
        try:
            return open_params(intent, self.key)
        except BadParamsError:
            return intent


def was_sealed(intent: Verified[Intent]) -> bool:
    """Whether the params came sealed and have been opened."""
    return intent.payload.sealed is None and "sealed" in intent.envelope.payload


def shown_arguments(intent: Verified[Intent]) -> dict[str, JsonValue]:
    """Return the arguments that people are asked about: sealed ones stay so."""
    if was_sealed(intent):
        return {"sealed": intent.envelope.payload["sealed"]}
    return dict(intent.payload.params)


def cover_output(order: Order, output: JsonValue) -> JsonValue:
    """Return the output as it may leave this process."""
    return _sealed(order, {"output": output}) if was_sealed(order.intent) else output


def cover_ending(order: Order, ending: Ending) -> Ending:
    """Return the ending as it may leave this process: codes stay, messages are sealed."""
    if not was_sealed(order.intent) or not ending.message:
        return ending
    output = _sealed(order, {"message": ending.message[:1_000]})
    return replace(ending, output=output, message=HIDDEN_MESSAGE)


def _sealed(order: Order, content: dict[str, JsonValue]) -> JsonValue:
    reply_key = reply_key_of(order.intent.envelope)
    assert reply_key is not None
    return seal_output(
        content,
        intent_id=order.id,
        reply_key=reply_key,
        ephemeral_seed=os.urandom(SEED_BYTES),
    )
