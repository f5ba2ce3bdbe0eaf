"""Settings: the only reader of the environment.

They come, strongest first, from the command line, from environment variables and from `.env` in the working directory.
`.env.example` lists them all; it is `example()`, by test.
"""

import difflib
import json
import os
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_state_path
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from perfcrew.errors import UserError
from perfcrew.records.base import Role
from perfcrew.records.budget import Allowance
from perfcrew.records.models import MODEL_FORM, MODEL_PATTERN, ModelFacts, ModelName

PREFIX = "PERFCREW_"
DOTENV = ".env"
_ANTHROPIC_DEFAULT = "anthropic/claude-opus-5-5"
_OPENAI_DEFAULT = "openai/gpt-6.2-sol"


def _default_model(known: dict[str, Any]) -> str:
    only_openai = not (known.get("anthropic_api_key") or known.get("anthropic_base_url")) and (
        known.get("openai_api_key") or known.get("openai_base_url")
    )
    return _OPENAI_DEFAULT if only_openai else _ANTHROPIC_DEFAULT


def _read_json(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError:
        raise ValueError("not JSON") from None


class Settings(BaseSettings):
    """How perfcrew works on this machine. A docstring stands under each field, and in `.env.example`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=DOTENV,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    anthropic_api_key: SecretStr | None = Field(default=None, validation_alias="ANTHROPIC_API_KEY")
    """Key for Anthropic's API."""
    anthropic_base_url: str | None = Field(default=None, validation_alias="ANTHROPIC_BASE_URL")
    """Another address that speaks Anthropic's Messages API."""
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    """Key for OpenAI's API, or for a compatible server that asks for one."""
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    """Another address that speaks OpenAI's API: vLLM, Ollama, LM Studio and the like."""
    openai_chat_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_CHAT_API_KEY")
    """Key for the server at OPENAI_CHAT_BASE_URL, where it asks for one."""
    openai_chat_base_url: str | None = Field(default=None, validation_alias="OPENAI_CHAT_BASE_URL")
    """Where openai-chat/ models are, when they are not where openai/ models are."""
    model: str = Field(default_factory=_default_model, pattern=MODEL_PATTERN)
    """The strong model, for architect and coder: anthropic/NAME, openai/NAME (Responses), openai-chat/NAME (compatible
    servers). Default: by the key that is set, anthropic/claude-opus-5-5 or openai/gpt-6.2-sol."""
    model_quick: str = Field(default_factory=lambda known: str(known.get("model", "")), pattern=MODEL_PATTERN)
    """The model for performance, memory-sync, tester, security and guide. Default: the strong one."""
    model_architect: ModelName | None = None
    """The model for the architect alone; as for the other roles, it may be another provider's. Default: the strong
    one, or what [models.roles] in perfcrew.toml says."""
    model_coder: ModelName | None = None
    """The model for the coder alone."""
    model_performance: ModelName | None = None
    """The model for the performance role alone."""
    model_memory_sync: ModelName | None = None
    """The model for memory-sync alone."""
    model_tester: ModelName | None = None
    """The model for the tester alone."""
    model_security: ModelName | None = None
    """The model for security alone."""
    model_guide: ModelName | None = None
    """The model for the guide alone, which answers questions in the chat."""
    model_table: Annotated[dict[ModelName, ModelFacts], NoDecode, BeforeValidator(_read_json)] = Field(
        default_factory=dict
    )
    """What is known of models beyond the table that comes with perfcrew, as JSON: {"openai-chat/NAME": {"context":
    32768, "usd_input": 0, "usd_output": 0}}. [models.table] in perfcrew.toml says the same for one target."""
    stream_replies: bool = False
    """Take every reply in pieces, also when nobody watches: for networks that cut idle connections."""
    home: Path = Field(default_factory=lambda: user_state_path("perfcrew"))
    """Folder for runs, environments of targets and leases. Default: the user's state folder, such as
    ~/.local/state/perfcrew."""
    budget_turns: int = Field(default=400, ge=1)
    """Most model calls in a run."""
    budget_tokens: int = Field(default=8_000_000, ge=1)
    """Most tokens in a run, input and output together, as the provider counts them."""
    budget_usd: float = Field(default=25.0, gt=0)
    """Most money in a run, in US dollars; calls of a model without a known price don't count."""
    budget_minutes: float = Field(default=240.0, gt=0)
    """Longest run, in minutes of wall clock."""
    role_budgets: Annotated[dict[Role, Allowance], NoDecode, BeforeValidator(_read_json)] = Field(default_factory=dict)
    """Limits of single roles within the run's, as JSON: {"coder": {"turns": 60, "tokens": 2000000, "usd": 5, "minutes":
    90}}."""
    max_rounds: int = Field(default=2, ge=1, le=10)
    """How often the architect may plan while goals are unmet."""
    max_attempts: int = Field(default=2, ge=1, le=10)
    """How often the coder may try one step of the plan."""
    max_ideas: int = Field(default=1, ge=1, le=4)
    """How many ideas for one step the coder tries side by side, each attempt in worktrees of their own; the best by its
    duel is kept. The model's time overlaps, the duels do not."""
    max_steps: int = Field(default=8, ge=1, le=50)
    """Most steps in one plan."""
    sandbox: Literal["auto", "off"] = "auto"
    """auto: confine target code and commands with bubblewrap where that works, and say so where not. off: never."""
    chromium: Path | None = None
    """The browser for web vitals: chromium, or a chrome of the same kind. Default: the one on PATH."""
    node_modules: Path | None = None
    """A node_modules folder with lighthouse or source-map-explorer in it. Default: programs on PATH, then what the
    target installed."""
    tiktoken_cache_dir: Path | None = Field(default=None, validation_alias="TIKTOKEN_CACHE_DIR")
    """Where tiktoken keeps its tables; with them, estimates of tokens before a call are closer. Nothing is fetched."""
    load_workers: str = Field(default="", pattern=r"^(\d+@\S+)?$")
    """Load from other hosts: COUNT@ADDRESS[:PORT], how many Locust workers there are and this machine's address for
    them. On each: perfcrew load-worker ADDRESS[:PORT]. The application must listen there too."""
    studio_repo: Path | None = None
    """Repository on which `langgraph dev` opens the recipe."""
    studio_replay: Path | None = None
    """A recording that answers there in place of models and tools, to look at a recorded run step by step."""
    mcp_token: SecretStr | None = None
    """Bearer token of `perfcrew mcp --http`. Default: one that is made for you, in mcp-token in the home folder."""
    otel_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where traces go by OTLP over HTTP, such as http://127.0.0.1:4318. Default: nowhere. The other standard OTEL_
    variables are honoured too."""
    otel_traces_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    """The same as a whole address, with the path of traces."""
    otel_headers: SecretStr | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_HEADERS")
    """What is sent with traces, such as a key: name=value,name=value."""
    otel_disabled: bool = Field(default=False, validation_alias="OTEL_SDK_DISABLED")
    """true: send no traces, whatever else is set."""
    otel_content: str = Field(default="", validation_alias="OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")
    """true: traces also hold what models are told and answer, without secrets."""
    reply_timeout_s: float = Field(default=600.0, gt=0)
    """Seconds to wait for one reply of a model."""

    def secrets(self) -> set[str]:
        """Keys, and passwords in addresses."""
        values = [getattr(self, name) for name in type(self).model_fields]
        keys = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
        addresses = [urlsplit(value) for value in values if isinstance(value, str) and "://" in value]
        return keys | {address.password for address in addresses if address.password}

    @property
    def traces_endpoint(self) -> str | None:
        """Where traces are posted; None where telemetry is off."""
        if self.otel_disabled:
            return None
        if self.otel_traces_endpoint:
            return self.otel_traces_endpoint
        return f"{self.otel_endpoint.rstrip('/')}/v1/traces" if self.otel_endpoint else None

    @property
    def captures_content(self) -> bool:
        """Whether traces hold what was said."""
        return self.otel_content.lower() in ("true", "1", "span_only", "span_and_event")

    @property
    def programs(self) -> dict[str, Path]:
        """External programs that the user named, by name."""
        named = {"chromium": self.chromium, "node_modules": self.node_modules}
        return {name: path for name, path in named.items() if path is not None}


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; overrides (from the command line) are the strongest, None counts as not given.

    Raises:
        UserError: a value doesn't fit, or a PERFCREW_ variable doesn't exist.
    """
    _refuse_unknown()
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        name, *inside = [str(part) for part in problem["loc"] if part != "[key]"]
        where = ", ".join([variable(name), *inside])
        raise UserError(f"{where}: {_expected(problem)} (in the environment, {DOTENV} or an option)") from None


def _expected(problem: Any) -> str:
    kind, message = problem["type"], str(problem["msg"])
    if kind == "string_pattern_mismatch":
        form = "COUNT@ADDRESS[:PORT], as 2@10.0.0.5" if problem["loc"][0] == "load_workers" else MODEL_FORM
        return f"expected {form}"
    if kind == "extra_forbidden":
        return "no such key"
    if kind == "value_error":
        return str(problem["ctx"]["error"])
    return message[0].lower() + message[1:]


def variable(name: str) -> str:
    """The environment variable of a field, by the field's name or its alias."""
    field = Settings.model_fields.get(name)
    if field is None:
        return name
    return field.validation_alias if isinstance(field.validation_alias, str) else PREFIX + name.upper()


def variables() -> dict[str, str]:
    """Environment variable → what it means, in the order of the fields."""
    fields = Settings.model_fields.items()
    return {variable(name): " ".join((field.description or "").split()) for name, field in fields}


def _refuse_unknown() -> None:
    known = variables()
    given = {name: "the environment" for name in os.environ if name.upper().startswith(PREFIX)}  # noqa: TID251
    dotenv = Path(DOTENV)
    if dotenv.is_file():
        lines = dotenv.read_text(encoding="utf-8", errors="replace").splitlines()
        names = (line.removeprefix("export ").partition("=")[0].strip() for line in lines if "=" in line)
        given |= {name: DOTENV for name in names if name.upper().startswith(PREFIX)}
    for name, where in given.items():
        if name.upper() not in known:
            stems = [each.removeprefix(PREFIX) for each in known]
            near = difflib.get_close_matches(name.upper().removeprefix(PREFIX), stems, n=1)
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else "; .env.example lists what there is"
            raise UserError(f"{name} in {where}: no such setting{hint}")


def installer_variables() -> dict[str, str]:
    """What package installers need of the environment when a target is set up: proxies, indexes, certificates."""
    names = (
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CERT", "UV_INDEX_URL",
        "UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_SYSTEM_CERTS", "NPM_CONFIG_REGISTRY",
        "NPM_CONFIG_CAFILE",
    )  # fmt: skip
    return {name: value for name, value in os.environ.items() if name.upper() in names and value}  # noqa: TID251


def example() -> str:
    """The text of `.env.example`: every setting with its meaning and its default, commented out."""
    lines = [
        "# Settings of perfcrew. Copy to .env in the folder where you call perfcrew, or set as environment variables.",
        "# What is commented out shows the default.",
    ]
    for name, field in Settings.model_fields.items():
        plain = field.default_factory is None and field.default is not None
        default = str(field.default) if plain else ""
        lines += ["", *textwrap.wrap(variables()[variable(name)], 110, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"# {variable(name)}={default}")
    return "\n".join(lines) + "\n"
