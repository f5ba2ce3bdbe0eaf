"""What a checkpoint may hold is what the state may hold."""

import typing

from graphs.checkpoints import record_classes
from graphs.state import RunState
from perfcrew.records.base import Record


def records_in(hint: object) -> set[type[Record]]:
    if isinstance(hint, type) and issubclass(hint, Record):
        return {hint}
    return {found for part in typing.get_args(hint) for found in records_in(part)}


def test_every_record_that_the_state_names_is_read_back() -> None:
    named = {found for hint in typing.get_type_hints(RunState).values() for found in records_in(hint)}
    assert len(named) > 5
    assert named - set(record_classes()) == set()
