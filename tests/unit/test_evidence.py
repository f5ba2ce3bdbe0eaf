from perfcrew.records.evidence import DIGEST_CHARACTERS, Evidence


def evidence(digest: str) -> Evidence:
    return Evidence(id="explain@w/base", kind="explain", title="12 queries explained", digest=digest)


def test_a_digest_stays_below_its_tokens_whatever_the_target_has() -> None:
    lines = [f"query {number}: {'Seq Scan on a_table_with_a_long_name ' * 8}" for number in range(40)]
    cut = evidence("\n".join(lines)).digest
    assert len(cut) <= DIGEST_CHARACTERS
    *kept, note = cut.splitlines()
    assert kept == lines[: len(kept)] and len(kept) > 15
    assert note.startswith("[cut: ") and "the raw file has everything" in note


def test_a_digest_without_lines_is_cut_as_well_and_only_once() -> None:
    cut = evidence("x" * 3 * DIGEST_CHARACTERS)
    assert DIGEST_CHARACTERS - 100 < len(cut.digest) <= DIGEST_CHARACTERS
    assert Evidence.model_validate(cut.model_dump()) == cut
    assert evidence("short").digest == "short"
