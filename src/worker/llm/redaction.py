"""Personal numbers and addresses out of a text before it goes to a provider: `[email]`, `[phone]`, `[card]`, `[iban]`.

Checked by form, not by guess: card numbers by issuer, length and Luhn's sum (ISO/IEC 7812-1), accounts by their check
digits (ISO 13616, mod 97), phone numbers by international prefix, by the forms of national plans or by a word before
them. Order and flight numbers, years, dates, prices, IP addresses, identifiers with letters stay. Linear in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

EMAIL, PHONE, CARD, IBAN = "[email]", "[phone]", "[card]", "[iban]"

_SPACE: Final = " \u00a0\u202f"

# A start only where no letter of an address stands before: a long word is tried once, not once per letter. Lengths are
# those of RFC 5321. "@user@server" is a handle of the fediverse.
_ADDRESS: Final = r"[\w.+%'-]{1,64}+(?<![.'])@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
_EMAIL: Final = re.compile(rf"(?<![\w.+@-])(?:{_ADDRESS})++")

_IBAN: Final = re.compile(rf"(?<!\w)[A-Za-z]{{2}}[0-9]{{2}}(?:[{_SPACE}]?[A-Za-z0-9]){{11,30}}(?!\w)")
_IBAN_DIGITS: Final = 8
"""Fewer digits no country's accounts have; words that happen to add up are not taken for one."""

_CARD_RUN: Final = re.compile(rf"(?<![\w+])\d(?:[{_SPACE}-]?\d){{12,}}+(?!\w)")
_GROUP: Final = re.compile(r"\d+")
_CARD_LENGTHS: Final = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|2[2-7]"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"3[0689]"), (14,)),
    (re.compile(r"35"), (16,)),
    (re.compile(r"5[06-8]|6"), (13, 14, 15, 16, 17, 18, 19)),
)
"""First digits of the issuers in use and the lengths of their numbers: Visa, Mastercard, American Express, Diners, JCB,
Maestro with Discover and UnionPay."""

_SEP: Final = rf"[{_SPACE}().\-/]"
# "+49 (0)30 123456", "0044 20 7946 0958". E.164: at most 15 digits, none begins with 0.
_INTERNATIONAL: Final = re.compile(
    rf"(?:(?<!\+)\(?\+[{_SPACE}]?|(?<![\w+.,/-])\(?00)(?!0)\d(?:{_SEP}{{0,3}}\d){{6,15}}(?![\w]|[.,:]\d)"
)
# North America: area and exchange begin with 2 to 9.
_NANP: Final = re.compile(
    rf"(?<![\w+$€£#/-])(?<!\d\.)(?:1[{_SPACE}.-]?)?(?:\([2-9]\d\d\)[{_SPACE}-]?|[2-9]\d\d[{_SPACE}.-])[2-9]\d\d[{_SPACE}.-]\d{{4}}"
    r"(?![\w/]|[.,:-]\d)"
)
# A trunk 0 and groups: "020 7946 0958", "(030) 123-4567", "06 12 34 56 78"; or ten to eleven digits in one piece.
_TRUNK: Final = re.compile(
    rf"(?<![\w.,+$€£#/:-])\(?0[1-9]\d{{0,4}}\)?(?:[{_SPACE}./-]{{1,2}}\d{{2,8}}){{1,4}}(?![\w/%€$£]|[.,:-]\d)"
)
_COMPACT: Final = re.compile(r"(?<![\w.,+$€£#/:-])0[1-9]\d{8,9}(?![\w/%]|[.,:-]\d)")
_INDIAN: Final = re.compile(r"(?<![\w.,+$€£₹#/:-])[6-9]\d{4}[ -]\d{5}(?![\w/%]|[.,:-]\d)")
# A word that says so, and then nearly any number: "call 555-0134", "WhatsApp: 9876543210".
_WORDED: Final = re.compile(
    rf"\b((?:call|contact|phone|telephone|tel|text|txt|sms|mobile|cell|cellphone|handy|whatsapp|signal|dial|ring|fax|hotline|"
    rf"teléfono|telefono|telefon|móvil|téléphone|appelez|llama|anruf|тел|телефон|звоните)\b\.?"
    rf"(?:[{_SPACE}]{{1,2}}(?:me|us|him|her|them|at|on|is|number|no|nr|now|to|al|unter|au|por))"
    rf"{{0,3}}\b[{_SPACE}.:#=]{{0,4}})"
    rf"(\(?\d(?:{_SEP}{{0,2}}\d){{6,14}})(?!\w|[.,:]\d)",
    re.IGNORECASE,
)
_ORDER_WORD: Final = re.compile(
    r"(?:\b(?:order|flight|ticket|ref|reference|booking|confirmation|case|claim|invoice|id|tracking|tag|bag|pnr|model|sku|"
    r"isbn|serial|bestellung|auftrag|pedido|commande|заказ)s?\b[\s.:#-]*(?:\b(?:numbers?|nos?|nr|id|code|is|are)\b[\s.:#-]*)"
    r"{0,2}(?:\d[\d -]{3,20}(?:,|and|&)\s?){0,3}|#\s?)\Z",
    re.IGNORECASE,
)
_ORDER_REACH: Final = 60
"""Characters before a number in which such a word is looked for."""
_DATE: Final = re.compile(
    r"(?<!\d)(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2})(?!\d)"
)
_PASSES: Final = 6
"""A number glued to another one shows itself only when that one is gone. More such layers than this nobody writes."""
_PHONE_DIGITS: Final = range(7, 16)
_SIGNS_MAX: Final = 2
"""Kinds of separators in one number: "030/123 456-78" has more than people use, "04-05 893/885" is something else."""
_NATIONAL_DIGITS: Final = range(9, 13)


def redact(text: str) -> str:
    """The text with e-mail addresses, phone, card and account numbers replaced by their kind. Never raises.

    >>> redact("mail ann@example.org or call +44 20 7946 0958 about order 1234567890")
    'mail [email] or call [phone] about order 1234567890'
    """
    for _ in range(_PASSES):
        before, text = text, _pass(text)
        if text == before:
            break
    return text


def _pass(text: str) -> str:
    text = _EMAIL.sub(EMAIL, text)
    if not _has_digits(text):
        return text
    text = _IBAN.sub(_account, text)
    text = _CARD_RUN.sub(_card, text)
    text = _INTERNATIONAL.sub(_international, text)
    text = _WORDED.sub(_worded, text)
    for pattern in (_NANP, _TRUNK, _COMPACT, _INDIAN):
        text = pattern.sub(_national, text)
    return text


def _has_digits(text: str) -> bool:
    return _GROUP.search(text) is not None


def _digits(text: str) -> str:
    # int() reads the digits of every script; what remains is ASCII.
    return "".join(str(int(sign)) for sign in text if sign.isdecimal())


def _account(found: re.Match[str]) -> str:
    """The longest part that ends at a group and whose check digits are right."""
    whole = found[0]
    ends = [found_space.start() for found_space in re.finditer(rf"[{_SPACE}]", whole)]
    for end in [len(whole), *reversed(ends)]:
        compact = re.sub(rf"[{_SPACE}]", "", whole[:end]).upper()
        if 15 <= len(compact) <= 34 and sum(map(str.isdigit, compact)) >= _IBAN_DIGITS and _mod97(compact) == 1:
            return IBAN + whole[end:]
    return whole


def _mod97(compact: str) -> int:
    return int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97


def _card(found: re.Match[str]) -> str:
    """A run of groups of digits with every part replaced that is a card number."""
    whole = found[0]
    out: list[str] = []
    done = 0
    for start, end in _card_parts(whole):
        out += (whole[done:start], CARD)
        done = end
    return "".join((*out, whole[done:]))


def _card_parts(run: str) -> Iterator[tuple[int, int]]:
    groups = [(group.start(), group.end()) for group in _GROUP.finditer(run)]
    digits = _digits(run)
    before = [0, *accumulate(end - start for start, end in groups)]
    """Digits before each group, and in all."""
    first = 0
    while first < len(groups):
        step = 1
        for lengths in _lengths(digits, before[first]):
            last = bisect_left(before, before[first] + lengths, first + 1)
            whole = last < len(before) and before[last] == before[first] + lengths
            if whole and _luhn(digits[before[first] : before[last]]):
                yield groups[first][0], groups[last - 1][1]
                step = last - first
                break
        first += step


def _lengths(digits: str, start: int) -> Iterator[int]:
    """How long a card number that begins there can be, longest first."""
    if digits[start : start + 14] == digits[start] * 14:
        return  # one digit all along passes Luhn's sum at times, and is nobody's number
    for opening, lengths in _CARD_LENGTHS:
        if opening.match(digits, start):
            yield from reversed(lengths)


def _luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _international(found: re.Match[str]) -> str:
    if not 8 <= len(_digits(found[0])) <= 17 or _DATE.search(found[0]):
        return found[0]
    return PHONE if "+" in found[0] or not _is_order(found) else found[0]


def _worded(found: re.Match[str]) -> str:
    number = found[2]
    if len(_digits(number)) not in _PHONE_DIGITS or _DATE.search(number):
        return found[0]
    return found[1] + PHONE


def _national(found: re.Match[str]) -> str:
    signs = {sign for sign in found[0] if not sign.isdecimal() and sign not in "()"}
    if len(signs) > _SIGNS_MAX:
        return found[0]
    if len(_digits(found[0])) not in _NATIONAL_DIGITS or _DATE.search(found[0]) or _is_order(found):
        return found[0]
    return PHONE


def _is_order(found: re.Match[str]) -> bool:
    """Is the number introduced as one of an order, a flight, a case?"""
    before = found.string[max(0, found.start() - _ORDER_REACH) : found.start()]
    return _ORDER_WORD.search(before) is not None
