"""Rows in an evidence's flat facts, where instruments look for them: see `perfcrew.records.facts`."""

from perfcrew.records.facts import Fact, Row, number, pack_rows, text, unpack_rows

__all__ = ["Fact", "Row", "number", "pack_rows", "text", "unpack_rows"]
