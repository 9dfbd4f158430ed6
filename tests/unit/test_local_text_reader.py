import pytest

from ocelli.backends.local.text_reader import is_legible, reading_order
from ocelli.domain.findings import Box, TextLine


def line(text: str, left: float, top: float, width: float = 0.4, height: float = 0.03) -> TextLine:
    return TextLine(text, 0.99, Box(left, top, left + width, top + height))


def order(*lines: TextLine) -> list[str]:
    return [found.text for found in reading_order(lines)]


@pytest.mark.parametrize(
    ("text", "score", "legible"),
    [
        ("0", 0.73, False),
        ("8", 0.90, False),
        ("0000", 0.99, False),
        ("AAA", 0.62, False),
        ("AAA", 0.99, False),
        ("O", 0.89, False),
        ("鑫", 0.92, False),
        ("(f-xfas", 0.73, False),
        ("...", 0.99, False),
        ("A4", 0.98, True),
        ("YAMAHA", 0.81, True),
        ("Region-based segmentation", 0.81, True),
        ("Region-based segmentation", 0.79, False),
        ("0070 n 071 D17", 0.74, False),
        ("h u nn", 0.81, False),
        ("λ   2 2", 0.86, False),
        ("A B C D", 0.98, True),
        ("東京タワー", 0.85, True),
    ],
)
def test_noise_is_not_text(text: str, score: float, legible: bool) -> None:
    assert is_legible(TextLine(text, score, Box(0, 0, 1, 1))) is legible


@pytest.mark.parametrize(
    ("text", "score", "legible"),
    [
        ("0.00", 0.95, True),
        ("1", 0.82, True),
        ("A B", 0.85, True),
        ("1", 0.79, False),
        ("...", 0.99, False),
    ],
)
def test_beside_many_lines_short_ones_are_text(text: str, score: float, legible: bool) -> None:
    line = TextLine(text, score, Box(0, 0, 1, 1))
    assert is_legible(line, on_page=True) is legible
    assert not is_legible(line)


def test_rows_are_read_from_left_to_right() -> None:
    assert order(
        line("d", 0.6, 0.215, 0.1),
        line("b", 0.6, 0.105, 0.1),
        line("a", 0.1, 0.1, 0.1),
        line("c", 0.1, 0.2, 0.1),
    ) == ["a", "b", "c", "d"]


def test_columns_of_paragraphs_are_read_one_after_the_other() -> None:
    left = [line(f"l{i}", 0.05, 0.2 + i * 0.04) for i in range(4)]
    right = [line(f"r{i}", 0.55, 0.2 + i * 0.04) for i in range(4)]
    title = line("title", 0.05, 0.05, 0.9, 0.05)
    assert order(*right, title, *left) == [
        "title", "l0", "l1", "l2", "l3", "r0", "r1", "r2", "r3",
    ]  # fmt: skip


def test_cells_of_a_table_are_read_row_by_row() -> None:
    cells = [
        line(f"{r}{c}", 0.1 + c * 0.3, 0.1 + r * 0.04, 0.1) for r in range(4) for c in range(3)
    ]
    assert order(*reversed(cells)) == [cell.text for cell in cells]


def test_nothing_to_read() -> None:
    assert order() == []
    assert order(line("one", 0.1, 0.1)) == ["one"]
