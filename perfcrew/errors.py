"""The errors that perfcrew raises, as a tree.

PerfcrewError
├── UserError             the user can mend it: one line, exit code 2, no traceback
├── InstrumentError       a measurement could not be taken; the run goes on without it and says so
│   └── NothingToMeasure  what it is about is not there: nothing is missing, and no report needs a note
├── ToolError             shown to the model as text, which may try again
│   └── Forbidden         it reached for what is out of bounds; the report names it
├── LLMError              a model service failed: `retryable`, `retry_after`
│   ├── ContextOverflow   the conversation is longer than the model's window
│   └── ServiceDown       retries are used up; the run stops resumable
├── ReplayMiss            a recording holds no reply for what was asked
├── ReplayDrift           a strict replay asks something else than was recorded
├── BudgetExhausted       a limit on turns, tokens, money or time is reached
└── VerificationError     a figure differs from what its raw file gives
"""


class PerfcrewError(Exception):
    """The root of everything that perfcrew raises on purpose."""


class UserError(PerfcrewError):
    """A mistake that the user can mend: the message is one line that says what, where and how."""


class InstrumentError(PerfcrewError):
    """An instrument is missing or failed: the message is one line with the remedy."""


class NothingToMeasure(InstrumentError):
    """The target has nothing of what an instrument is about, such as an event loop."""


class ToolError(PerfcrewError):
    """A tool call that can't be carried out: the model reads the message and may correct itself."""


class Forbidden(ToolError):
    """A tool call that reached for what is out of bounds: refused like any other mistake, and named in the report."""


class LLMError(PerfcrewError):
    """A failed call of a model service.

    Args:
        message: what failed, in one line, without secrets.
        retryable: whether the same request may succeed later.
        retry_after: seconds that the service asked to wait, if it did.
        request_id: the service's own id of the request, if it gave one.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after
        self.request_id = request_id


class ContextOverflow(LLMError):
    """The service finds the conversation too long for the model; a shorter one may be answered."""


class ServiceDown(LLMError):
    """A model service failed for as long as we were willing to try."""


class ReplayMiss(PerfcrewError):
    """The recording that stands in for the model has no reply at this place."""


class ReplayDrift(PerfcrewError):
    """A strict replay asks something else than was recorded: the message holds a readable diff."""


class BudgetExhausted(PerfcrewError):
    """A limit on turns, tokens, money or time is reached."""


class VerificationError(PerfcrewError):
    """A reported figure is not what its raw samples give."""
