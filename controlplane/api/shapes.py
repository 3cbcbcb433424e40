"""The forms inside answers and bodies: free JSON, and the parts of the wire that REST shows as is.

Owns how these are described, so that a client generated from `/openapi.json` knows every field.
Validates nothing: what a rule or a capability may say is the concern of `protocol.messages`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import TypeAliasType

from controlplane.api.operation import Body, View
from protocol.messages.delegations import Capability as CapabilityPayload
from protocol.messages.intents import ResultStatus
from protocol.messages.policies import ApprovalRule, PolicyLimits, PolicyRule

JsonObject = TypeAliasType("JsonObject", "dict[str, Json]")
Json = TypeAliasType(
    "Json",
    "bool | float | str | JsonObject | list[bool | float | str | JsonObject | list[Any] | None]"
    " | None",
)
"""Whatever JSON can say: what people and agents put into params, outputs and schemas.

Arrays in arrays are left open: TypeScript takes no array of what is being defined.
"""


class LooksLike:
    """Describes a plain JSON object as `model` does, and leaves its checking to whoever reads it.

    The service that takes a rule says which field of which rule is wrong, better than a type could.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return handler(source)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        self._model.model_rebuild()
        return handler(self._model.__pydantic_core_schema__)


class CapabilityBody(Body):
    """What is lent: an action or pattern, in these realms, at these agents (DIDs or names)."""

    action: str
    realms: list[str] | None = None
    agents: list[str] | None = None


Rule = Annotated[dict[str, Any], LooksLike(PolicyRule)]
Limits = Annotated[dict[str, Any], LooksLike(PolicyLimits)]
Approval = Annotated[dict[str, Any], LooksLike(ApprovalRule)]
Capability = Annotated[dict[str, Any], LooksLike(CapabilityPayload)]
WishedCapability = Annotated[dict[str, Any], LooksLike(CapabilityBody)]


class ActionView(View):
    """One action an agent can do, and what its params must look like (JSON Schema)."""

    name: str
    capability: str
    description: str
    params_schema: JsonObject
    idempotent: bool


class HeartbeatView(View):
    """What an agent last said of itself."""

    uptime_seconds: int
    load: float
    memory_bytes: int
    running: list[str]
    token_usage: JsonObject


class QuarantineView(View):
    """The quarantine, or the release from one, that an agent was last told of.

    `answer` is what it has said to that, null before it has heard of it; `code` why it refuses.
    """

    epoch: int
    active: bool
    reason: str
    document_id: str
    signer: str
    by: str
    answer: Literal["accepted", "refused"] | None
    code: str | None


class FailureView(View):
    """Why an order did not succeed; `code` is stable."""

    code: str
    message: str


class ResultDecisionView(View):
    """The version of the policy that decided, and its rule."""

    policy_version: int | None
    rule: str | None


class OutputFileView(View):
    """An output that was uploaded; `sha256` in hex."""

    bytes: int
    sha256: str


class ResultView(View):
    """What became of an order, as its agent signed it (`documentId`).

    One that its agent answered with an error, or never got, has only status, error and time.
    """

    status: ResultStatus
    output: Json
    error: FailureView | None
    finished_at: str
    started_at: str | None = None
    output_file: OutputFileView | None = None
    usage: JsonObject | None = None
    decision: ResultDecisionView | None = None
    sandbox: JsonObject | None = None
    approvals: list[str] | None = None
    progress_count: int | None = None
    document_id: str | None = None


class DecidedView(View):
    """What an agent signed about how it decided."""

    status: str | None
    policy_version: int | None
    rule: str | None
    code: str | None
    message: str | None


Effect = Literal["allow", "deny"]
