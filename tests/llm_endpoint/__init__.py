"""A model service for tests: a loopback endpoint whose answers come from a script, on all three wires, with faults."""

from tests.llm_endpoint.server import Script, ScriptedEndpoint
from tests.llm_endpoint.view import Call, RequestView, Result, Turn
from tests.llm_endpoint.wires import Answer

__all__ = ["Answer", "Call", "RequestView", "Result", "Script", "ScriptedEndpoint", "Turn"]
