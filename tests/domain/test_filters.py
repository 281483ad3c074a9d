"""Filters as trees, the parts of a tree, and completions at a position of a filter."""

from __future__ import annotations

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.filter_completion import Completion, completion_at
from jobledger.domain.values.filter_text import quoted, unquoted
from jobledger.domain.values.filters import (
    MAX_DEPTH,
    MAX_LENGTH,
    All,
    Ever,
    Filter,
    Not,
    Restriction,
    Some,
    parse_field,
    parse_filter,
    parts_of,
)


def is_(field: str, value: str, comparator: str = "=", **wild: tuple[bool, bool]) -> Restriction:
    return Restriction(tuple(field.split(".")), comparator, value, **wild)


A, C, E = is_("a", "b"), is_("c", "d"), is_("e", "f")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", All(())),
        (" \n", All(())),
        ("a = b", A),
        ("(a = b)", A),
        ("NOT a = b", Not(A)),
        ("-a = b", Not(A)),
        ("a = b c = d", All((A, C))),
        ("a = b AND c = d", All((A, C))),
        ("a = b OR c = d", Some((A, C))),
        ("a = b AND c = d OR e = f", All((A, Some((C, E))))),
        ("(a = b AND c = d) OR e = f", Some((All((A, C)), E))),
        ("a = b c = d AND e = f", All((All((A, C)), E))),
        ("ever(a = b OR c = d)", Ever(Some((A, C)))),
        ("a.b.c != 7.5", is_("a.b.c", "7.5", "!=")),
        ("a <= -7.5", is_("a", "-7.5", "<=")),
        ("a = *x*", is_("a", "*x*")),
        ("a = *x", is_("a", "*x")),
        ("a=-x.y.z", is_("a", "-x.y.z")),
        ('a."x y" : "z"', Restriction(("a", "x y"), ":", "z")),
        ('a = "he said \\"x\\""', is_("a", 'he said "x"')),
        ("a = 'q*'", is_("a", "q*")),
        ('a = "\\*"', is_("a", "*", wild=(False, False))),
        ('a = "\\**"', is_("a", "**", wild=(False, True))),
        ('a = "*\\*"', is_("a", "**", wild=(True, False))),
    ],
)  # fmt: skip
def test_a_filter_is_a_tree(text: str, tree: Filter) -> None:
    assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a" * (MAX_LENGTH + 1), f"has 65537 characters; the limit is {MAX_LENGTH}"),
        ("a = \0", "has a NUL character or half a surrogate pair"),
        ('a = "\udfff"', "has a NUL character or half a surrogate pair"),
        ('a = "\ud800"', "has a NUL character or half a surrogate pair"),
        ("(" * 51 + "a = b" + ")" * 51, "has 51 nested parentheses; the limit is 50"),
        ("a ! b", "cannot be read at column 3: a comparison was expected"),
        ("a = b AND", "cannot be read at its end: '(' or a word was expected"),
        ("a b", "cannot be read at column 3: a comparison was expected"),
        ("a = b)", "cannot be read at column 6"),
    ],
)
def test_a_filter_that_cannot_be_parsed_is_refused_with_the_place(text: str, why: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_filter(text)
    assert caught.value.field == "filter"
    assert caught.value.why.startswith(why)


def test_filters_at_the_limits_are_parsed() -> None:
    nested = "(" * MAX_DEPTH + "a = b" + ")" * MAX_DEPTH
    assert parse_filter(nested) == A
    assert parse_filter(f"{nested} OR {nested}") == Some((A, A))
    assert parse_filter('a = "' + "(" * 60 + '"') == is_("a", "(" * 60)
    long = "b" * (MAX_LENGTH - 4)
    assert parse_filter(f"a = {long}") == is_("a", long)


def test_the_parts_of_a_tree_are_all_that_is_in_it() -> None:
    tree = All((Not(A), Some((C, Ever(E)))))
    assert list(parts_of(tree)) == [tree, Not(A), A, tree.terms[1], C, Ever(E), E]
    assert list(parts_of(A)) == [A]


FOLLOWING = frozenset({"AND", "OR", "field"})


@pytest.mark.parametrize(
    ("before", "place"),
    [
        ("", Completion(0, "", frozenset({"field"}))),
        ("sta", Completion(0, "sta", frozenset({"field"}))),
        ("NOT ", Completion(4, "", frozenset({"field"}))),
        ("ever(", Completion(5, "", frozenset({"field"}))),
        ("state ", Completion(6, "", frozenset({"comparison"}))),
        ("state = ", Completion(8, "", frozenset({"value"}), "state")),
        ("state = RUN", Completion(8, "RUN", frozenset({"value"}), "state")),
        ("state = RUNNING ", Completion(16, "", FOLLOWING)),
        ("(state = RUNNING ", Completion(17, "", FOLLOWING | {")"})),
        ("labels.a.b = ", Completion(13, "", frozenset({"value"}), "labels.a.b")),
        ('labels."x y" = ', Completion(15, "", frozenset({"value"}), 'labels."x y"')),
        ("a = b c.d = ", Completion(12, "", frozenset({"value"}), "c.d")),
        ("a = b AND c = ", Completion(14, "", frozenset({"value"}), "c")),
        ("name = x.y labels.t = ", Completion(22, "", frozenset({"value"}), "labels.t")),
        ("state ! ", Completion(8, "", frozenset())),
        ("state = a = ", Completion(12, "", frozenset())),
    ],
)  # fmt: skip
def test_what_may_be_written_at_a_place(before: str, place: Completion) -> None:
    assert completion_at(before, len(before)) == place
    assert completion_at(f"{before}) nothing of this (", len(before)) == place


def test_strings_are_unquoted() -> None:
    for text in (
        "",
        "x",
        '"',
        "\\",
        "a\nb\tc\r",
        "*",
        "*x*",
        "*x",
        "**",
        "x*",
        "\\*",
        "\x00\x1f\x7f\u2028",
        "ü😀",
    ):
        string = quoted(text)
        assert string.isprintable()
        response = unquoted(string)
        assert response.text == text
        assert not response.ends_wild
        assert not response.begins_wild or text == "*"
    assert quoted("a\nb\tc\r") == r'"a\nb\tc\r"'
    assert unquoted(r'"\ud800"').text == "\ufffd"
    assert unquoted(r'"\u00fc\n\q"').text == "ü\nq"
    assert unquoted(r'"\ud83d\ude00"').text == "😀"
    assert unquoted(r'"x\\*"') == ("x\\*", False, True)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("state", ("state",)),
        ("labels.team", ("labels", "team")),
        ('spec."a.b".c', ("spec", "a.b", "c")),
        ("spec.'x'", ("spec", "x")),
        ('spec."a', ("spec", '"a')),
        ("a..b", ("a", "", "b")),
    ],
)
def test_a_field_is_parts_between_dots(text: str, parts: tuple[str, ...]) -> None:
    assert parse_field(text) == parts
