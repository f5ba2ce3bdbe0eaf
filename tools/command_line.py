"""Command lines from the templates that a description holds."""

import re
import shlex
from collections.abc import Mapping

from perfcrew.errors import UserError


def fill(template: str, placeholders: Mapping[str, str]) -> list[str]:
    """A command line from its template: split as a shell would, `{name}` replaced, `{{` and `}}` for plain braces.

    Only lower-case names are placeholders, so that `${HOME}` inside `sh -c '…'` stays as it is.

    Raises:
        UserError: a quote is not closed, the command is empty, or a placeholder is unknown.
    """

    def replace(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] not in placeholders:
            known = ", ".join(f"{{{name}}}" for name in sorted(placeholders))
            raise UserError(f"command {template!r}: unknown placeholder {{{match[1]}}}; known here: {known}")
        return placeholders[match[1]]

    try:
        words = shlex.split(template)
    except ValueError as error:
        raise UserError(f"command {template!r}: {error}") from error
    if not words:
        raise UserError("a command is empty")
    return [re.sub(r"\{\{|\}\}|(?<!\$)\{([a-z_]+)\}", replace, word) for word in words]
