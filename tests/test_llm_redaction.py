"""Personal numbers and addresses leave a text before a provider sees it; everything that only looks like one stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.llm.operations import OPERATIONS
from src.worker.llm.redaction import redact

EMAILS = [
    "ann@example.org",
    "first.last+tag@mail.example.co.uk",
    "o'brien@example.ie",
    "user_name%x@sub-domain.example.com",
    "jürgen@müller.example",
    "A1@B2.io",
]
PHONES = [
    "+1 212 555 0100",
    "+12125550100",
    "+44 20 7946 0958",
    "+44 (0)20 7946 0958",
    "(+49) 30 123456",
    "+49-171-1234567",
    "+33.6.12.34.56.78",
    "+91 98765 43210",
    "+86 138 0013 8000",
    "0044 20 7946 0958",
    "004915112345678",
    "(212) 555-0100",
    "212-555-0100",
    "212.555.0100",
    "1-800-555-0199",
    "1 (800) 555-0199",
    "020 7946 0958",
    "0171 1234567",
    "030/12345678",
    "(030) 1234 5678",
    "06 12 34 56 78",
    "07911 123456",
    "0612345678",
    "07911123456",
    "98765 43210",
]
CARDS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "5555 5555 5555 4444",
    "2223003122003222",
    "378282246310005",
    "3782 822463 10005",
    "30569309025904",
    "3530111333300000",
    "6011 1111 1111 1117",
    "4222222222222",
]
IBANS = [
    "DE89370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "GB82 WEST 1234 5698 7654 32",
    "gb82west12345698765432",
    "FR14 2004 1010 0505 0001 3M02 606",
    "NO93 8601 1117 947",
    "MT84MALT011000012345MTLCAST001S",
]


@pytest.mark.parametrize(
    ("mark", "number"),
    [
        (mark, one)
        for mark, family in (("email", EMAILS), ("phone", PHONES), ("card", CARDS), ("iban", IBANS))
        for one in family
    ],
)
def test_every_form_is_replaced_by_its_kind_wherever_it_stands(mark: str, number: str) -> None:
    assert redact(number) == f"[{mark}]"
    assert redact(f"Write to {number}, please.") == f"Write to [{mark}], please."
    assert redact(f"«{number}»\n{number}!") == f"«[{mark}]»\n[{mark}]!"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call 555-0134 now", "call [phone] now"),
        ("WhatsApp: 9876543210", "WhatsApp: [phone]"),
        ("my phone number is 2125550100", "my phone number is [phone]"),
        ("Tel. 8005550199", "Tel. [phone]"),
        ("text me at 5550134", "text me at [phone]"),
        ("mein Handy 15112345678", "mein Handy [phone]"),
        ("contact him on 9310404065 today", "contact him on [phone] today"),
        ("an hour...919-675-0985", "an hour...[phone]"),
    ],
)
def test_a_word_before_a_number_makes_it_a_phone_number(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "order 1234567890",
        "order number 0123456789",
        "Order #0712345678 never came",
        "ref: 0171 1234567",
        "ticket 212-555-0100",
        "tag numbers 0016 964012, 0016 964077, 0016 964078",
        "Titan 04-05 893/885 fog light",
        "flight 1234 and AA1234, BA 0284",
        "PNR 6XKJ2P, seat 14C",
        "in 2019, 2020 and 2021-2024",
        "2024-05-12 10:30:00",
        "12.05.2024 and 5/12/2024",
        "01.02.2024 10 people came",
        "$1,299.99 or 1.299,99 € or USD 12000000",
        "0.123456789 percent",
        "12 000 000 users and 1,234,567,890 views",
        "192.168.100.200:8080 and 10.0.0.1",
        "version 10.15.7.2024",
        "serial SN4111111111111111X",
        "A4111111111111111",
        "tracking 1Z999AA10123456784",
        "4111111111111112",
        "0000 0000 0000 0000",
        "status 1745678901234567890",
        "DE89370400440532013001",
        "ISBN 978-3-16-148410-0",
        "@acme and @ann@mastodon.example and @user.bsky.example",
        "user@ home, a @ b, 5@",
        "the 100 200 300 400 500 club",
        "score 3-0, 15:40, 6-4 6-4",
        "1600x1200 and 3840x2160",
        "iPhone 15 128 256",
        "phone for 1299 or 1399",
        "52.520008, 13.404954",
        "model 020-7946-X",
        "COVID-19 and 24/7 and 50/50",
        "call 2024-05-12",
    ],
)
def test_what_is_no_personal_number_stays(text: str) -> None:
    assert redact(text) == text


def test_several_in_one_text_are_all_replaced() -> None:
    text = (
        "Ann (ann@example.org, +44 20 7946 0958) paid with 4111 1111 1111 1111 123 from DE89 3704 0044 0532 0130 00 ok"
    )
    assert redact(text) == "Ann ([email], [phone]) paid with [card] 123 from [iban] ok"
    assert redact("212-555-0100 212-555-0101") == "[phone] [phone]"
    assert redact("4111 1111 1111 1111 5555 5555 5555 4444") == "[card] [card]"


def test_digits_of_any_script_count() -> None:
    assert redact("+٤٤ ٢٠ ٧٩٤٦ ٠٩٥٨") == "[phone]"
    assert redact("٤١١١ ١١١١ ١١١١ ١١١١") == "[card]"


_PARTS = st.sampled_from(
    [
        *EMAILS,
        *PHONES,
        *CARDS,
        *IBANS,
        " ",
        "-",
        ".",
        "+",
        "(",
        ")",
        "0",
        "00",
        "7",
        "@",
        "call ",
        "a",
        "\n",
        "/",
        "#",
        "٤",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_PARTS, max_size=8).map("".join))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_it_fail(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=("Nd", "Cs"), exclude_characters="@"), max_size=200))
def test_a_text_without_digits_and_addresses_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a.",
        "a@",
        "a@b.",
        "1",
        "1 ",
        "1-",
        "4111 ",
        "+1",
        "+",
        "(0",
        "0 1",
        "DE89 ",
        "AB12",
        "212-",
        "call ",
        "call 1",
        "@",
        "٣",
        "- ",
    ],
)
def test_hostile_text_costs_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text = (unit * size)[:size]
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            redact(text)
            best = min(best, time.process_time() - began)
        return best

    # A square would cost 16 times as much; a slow machine gets room, a square does not.
    assert seconds(80_000) < 8 * seconds(20_000) + 0.05


def test_prompts_of_ours_and_fences_are_never_touched() -> None:
    for operation in OPERATIONS.values():
        assert redact(operation.system_prompt) == operation.system_prompt
        assert redact(operation.template) == operation.template
