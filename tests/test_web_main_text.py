"""Which part of a page is its main text: every rule by itself, at its bound."""

from __future__ import annotations

import pytest

from src.worker.web.main_text import Block, Noise, main_text
from src.worker.web.outline import parse

STORY = "The council has decided to rebuild the old bridge over the river, and it wants to begin in the spring. " * 3
ASIDE = "Subscribers read all of our articles without advertisements, and they support what we do every day."


def _text(html: str) -> str:
    return main_text(parse(html).blocks)


def _amid(html: str) -> str:
    """What becomes of a part between two paragraphs of a story."""
    story = STORY.strip()
    text = _text(f"<body><p>{STORY}</p>{html}<p>{STORY}</p></body>")
    assert text.startswith(story)
    assert text.endswith(story)
    return text[len(story) : -len(story)].strip("\n")


def _of(chars: int) -> str:
    """A sentence of so many characters."""
    return ("abcdefghi " * (chars // 10 + 1))[: chars - 1] + "."


def _block(tag: str, size: int, linked: int = 0) -> Block:
    return Block(tag, (), Noise.NONE, linked=linked, size=size)


@pytest.mark.parametrize(
    ("block", "weight"),
    [
        (_block("p", 40), 40),
        (_block("p", 39), 0),
        (_block("p", 61, linked=20), 61),  # 0.328 of it are links
        (_block("p", 60, linked=20), 0),  # 0.333
        (_block("p", 58, linked=19), 0),  # 39 characters that are none
        (_block("td", 39), 19),
        (_block("th", 20), 10),
        (_block("dd", 20), 10),
        (_block("li", 20), 0),
        (_block("td", 20, linked=1), 0),
        (_block("td", 40), 40),
    ],
)
def test_text_counts_when_it_is_long_and_no_list_of_links_a_cell_by_half(block: Block, weight: int) -> None:
    assert block.weight == weight


@pytest.mark.parametrize("tag", "nav aside footer dialog menu search header".split())
def test_what_an_element_says_is_not_the_text_is_left_out(tag: str) -> None:
    assert _text(f"<body><p>{STORY}</p><{tag}><p>{ASIDE}</p></{tag}></body>") == STORY.strip()


@pytest.mark.parametrize(
    "role",
    "navigation banner contentinfo complementary search dialog alertdialog menu menubar toolbar".split(),
)
def test_what_a_role_says_is_not_the_text_is_left_out(role: str) -> None:
    assert _text(f'<body><p>{STORY}</p><div role="{role}"><p>{ASIDE}</p></div></body>') == STORY.strip()


@pytest.mark.parametrize(
    "word",
    (
        "nav navbar navigation menu breadcrumb breadcrumbs footer sidebar widget widgets ad ads advert advertisement "
        "advertising sponsor sponsored promo promotion banner share sharing social newsletter subscribe signup related "
        "recommended recommendations popular trending pagination pager popup overlay login toolbar taglist skip "
        "masthead paywall legal copyright cookie cookies cookiebar consent gdpr ccpa onetrust didomi comment comments "
        "commentlist disqus respond"
    ).split(),
)
def test_what_a_class_or_an_id_calls_something_else_is_left_out(word: str) -> None:
    for named in (f'class="box {word}"', f'id="page-{word}"', f'class="the{word.capitalize()}Box"'):
        assert _text(f"<body><p>{STORY}</p><div {named}><p>{ASIDE}</p></div></body>") == STORY.strip()


@pytest.mark.parametrize("tag", ["html", "body", "main", "article"])
def test_the_classes_of_the_whole_page_say_nothing_about_its_text(tag: str) -> None:
    around = {"html": "body", "body": "div", "main": "div", "article": "div"}[tag]
    page = f'<{tag} class="cookie-consent sidebar"><{around}><p>{STORY}</p></{around}></{tag}>'
    assert _text(page) == STORY.strip()


@pytest.mark.parametrize("attribute", ["hidden", 'aria-hidden="TRUE"', 'style="display : none"'])
def test_what_is_hidden_is_left_out_even_where_there_is_nothing_else(attribute: str) -> None:
    assert _text(f"<body><div {attribute}><p>{STORY}</p></div></body>") == ""


def test_a_header_is_the_page_s_outside_of_the_main_part_and_the_text_s_inside() -> None:
    for tag in ("main", "article"):
        page = f"<body><header><p>{ASIDE}</p></header><{tag}><div><header><p>Lead.</p></header></div><p>{STORY}</p>"
        assert _text(f"{page}</{tag}></body>") == f"Lead.\n\n{STORY.strip()}"


@pytest.mark.parametrize(("chars", "with_comments"), [(199, True), (200, False)])
def test_comments_are_the_text_where_there_is_little_beside_them(chars: int, with_comments: bool) -> None:
    story = _of(chars)
    page = f'<body><p>{story}</p><div class="comments"><p>{STORY}</p></div></body>'
    assert _text(page) == (f"{story}\n\n{STORY.strip()}" if with_comments else story)


@pytest.mark.parametrize(("chars", "named"), [(199, True), (200, False)])
def test_odd_names_are_overlooked_where_there_is_little_else(chars: int, named: bool) -> None:
    story = _of(chars)
    page = f'<body><p>{story}</p><div class="sidebar"><p>{STORY}</p></div></body>'
    assert _text(page) == (f"{story}\n\n{STORY.strip()}" if named else story)


@pytest.mark.parametrize(("chars", "alone"), [(800, True), (799, False)])
def test_an_element_with_four_fifths_of_the_text_is_the_main_part(chars: int, alone: bool) -> None:
    main, other = _of(chars), _of(1_000 - chars)
    page = f"<body><div><p>{main}</p></div><div><p>{other}</p></div></body>"
    assert _text(page) == (main if alone else f"{main}\n\n{other}")


@pytest.mark.parametrize(
    "tag", ["main", "article", 'div role="main"', 'div role="article"', 'div itemprop="articleBody"']
)
@pytest.mark.parametrize(("chars", "alone"), [(400, True), (399, False)])
def test_two_fifths_are_enough_for_what_says_so_of_itself(tag: str, chars: int, alone: bool) -> None:
    main, other = _of(chars), _of(1_000 - chars)
    page = f"<body><div><p>{other}</p></div><{tag}><p>{main}</p></{tag.split()[0]}></body>"
    assert _text(page) == (main if alone else f"{other}\n\n{main}")


@pytest.mark.parametrize("end", [".", "!", "?", "…", ":", "。", "！", "？", "”", "&quot;", "।", "؟"])
def test_a_short_line_is_text_when_it_ends_as_a_sentence_does(end: str) -> None:
    said = f"So be it{end}".replace("&quot;", '"')
    assert _amid(f"<div>So be it{end}</div>") == said


@pytest.mark.parametrize(("chars", "kept"), [(30, False), (31, True)])
def test_a_line_without_an_end_is_a_label_up_to_thirty_characters(chars: int, kept: bool) -> None:
    label = "x" * chars
    assert (label in _amid(f"<div>{label}</div>")) is kept


@pytest.mark.parametrize("tag", "li p pre blockquote figcaption dt dd h1 h2 h3 h4 h5 h6".split())
def test_a_short_line_with_an_element_of_its_own_is_text(tag: str) -> None:
    assert _amid(f"<{tag}>So be it</{tag}>") == "So be it"


@pytest.mark.parametrize("tag", "h1 h2 h3 h4 h5 h6".split())
def test_a_heading_that_is_a_link_is_kept_and_one_with_nothing_after_it_is_not(tag: str) -> None:
    heading = f'<{tag}><a href="/">Bridges</a></{tag}>'
    assert _amid(heading) == "Bridges"
    assert _text(f"<body><p>{STORY}</p>{heading}{heading}</body>") == STORY.strip()


@pytest.mark.parametrize(("chars", "kept"), [(79, False), (80, True)])
def test_of_links_only_a_long_paragraph_is_text(chars: int, kept: bool) -> None:
    linked = f'<a href="/"><span>{_of(chars)}</span></a>'
    assert _amid(f"<p>{linked}</p>") == (_of(chars) if kept else "")
    assert _amid(f"<div>{linked}</div>") == ""


@pytest.mark.parametrize(("linked", "kept"), [(60, True), (61, False)])
def test_from_three_fifths_of_links_an_item_is_one_of_a_list_of_links(linked: int, kept: bool) -> None:
    item = f'<li><a href="/">{"l" * linked}</a>{"t" * (99 - linked)}.</li>'
    assert ("lll" in _amid(item)) is kept


def test_a_line_s_break_parts_words_and_a_possible_one_does_not() -> None:
    assert _amid("<p>One<br>two<wbr>three.</p>") == "One twothree."


def test_cells_of_a_row_are_parted_by_bars_rows_and_terms_by_line_ends() -> None:
    rows = "<tr><th>Year</th><th>Cost</th></tr><tr><th>2024</th><td>12</td></tr><tr><td>2025</td><td>13</td></tr>"
    table = f"<table><caption>Costs</caption>{rows}</table>"
    assert _amid(table) == "Costs\n\nYear | Cost\n2024 | 12\n2025 | 13"
    terms = "<dl><dt>Span</dt><dt>Width</dt><dd>90 m</dd><dd>100 yards</dd></dl><ul><li>One</li><li>Two</li></ul>"
    assert _amid(terms) == "Span\nWidth\n90 m\n100 yards\n\nOne\nTwo"


@pytest.mark.parametrize("letter", ["ไ", "あ", "漢", "한"])
def test_scripts_that_need_fewer_characters_have_shorter_texts(letter: str) -> None:
    assert _text(f"<body><div>{letter * 67}</div><div class='comments'><p>{STORY}</p></div></body>") == letter * 67


def test_text_of_another_kind_begins_a_block_of_its_own() -> None:
    page = f'<body><div>{STORY}<span class="share">Share this with all of your friends.</span> And so on.</div></body>'
    assert _text(page) == f"{STORY.strip()}\n\nAnd so on."


def test_preformatted_text_keeps_its_spaces_and_all_other_text_has_single_ones() -> None:
    assert _amid("<pre>\n  a =  1\n\n</pre><p>b \n  c.</p>") == "  a =  1\n\nb c."


def test_white_space_within_a_link_is_one_character_of_it() -> None:
    spaced = f'<a href="/">{"word   " * 11}end</a>'  # 58 characters as they are shown
    assert _amid(f"<li>{spaced} {'t' * 37}.</li>").startswith("word word")
    assert _amid(f"<li>{spaced} {'t' * 36}.</li>") == ""
