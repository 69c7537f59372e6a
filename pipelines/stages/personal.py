"""Personal: texts in; those without a personal contact or account out; the others excluded, naming the kind alone.

It finds what has a form: e-mail addresses, phone numbers, payment cards and bank accounts. It does not find names,
street addresses, spelt-out numbers, or an address written as `name at host`. Numbers of companies count as well,
and a row of numbers that happens to be a valid phone number (five lottery numbers, say) is taken for one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import apache_beam as beam

from pipelines.stages.screen import STAGE
from schemas.records import Excluded, TextAsset

if TYPE_CHECKING:
    from phonenumbers import PhoneNumberMatch

    from pipelines.progress import Tally

Kind = Literal["email", "phone", "card", "iban"]
REGIONS = ("US", "GB", "DE", "FR")
"""Countries whose phone numbers are recognised without a country code; with one, all countries' are."""
FEWEST_DIGITS = 7
"""Shorter numbers are years, prices and amounts, even where a country has phone numbers like that."""

_EMAIL = re.compile(
    r"(?<![\w.%+@-])[\w%+-][\w.%+-]{0,63}@(?:[^\W_][\w-]{0,62}\.){1,8}(?!(?:png|jpe?g|gif|svg|webp)\b)[^\W\d_]{2,24}(?!\w)",
    re.IGNORECASE,
)
"""Not handles (`@a@host.org`), and not names of pictures for sharp screens (`logo@2x.png`)."""
_CARD = re.compile(
    r"(?<![A-Za-z0-9_])(?<!\d[.,])"
    r"(?=(\d{14,19}|\d{4}([ .-])\d{4}\2\d{4}\2\d{4}|\d{4}([ .-])\d{6}\3\d{4,5})(?![A-Za-z0-9_]))"
)
"""One run of digits, or the groups that are embossed: 4-4-4-4, 4-6-4 and 4-6-5."""
_ISSUERS = (
    (re.compile("4"), (16, 19)),
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("30[0-5]|309|36|3[89]"), (14,)),
    (re.compile("6011|64[4-9]|65"), (16, 19)),
    (re.compile("35(2[89]|[3-8])"), (16, 19)),
    (re.compile("62"), (16, 17, 18, 19)),
)
"""First digits and lengths of Visa, Mastercard, American Express, Diners Club, Discover, JCB and UnionPay."""
_IBAN = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}))")
_NO_PHONE = re.compile(
    r"\b(?:ISBN|ISSN|EAN|UPC)\b\D{0,5}[\d -]+"
    r"|(?<![\d.])(?:0|[1-9]\d*)\.\d{5,}|(?<!\d)(?:0|[1-9]\d?),\d{5,}"
    r"|(?<![\d+(])(?<!\d )[1-9]\d{0,2}(?: \d{3}){3,}(?! ?\d)"
    r"|(?<!\d)(?:19|20)\d\d([./-])\d\d?\1\d\d?(?!\d)|(?<![\d./-])\d\d?([./-])\d\d?\2(?:19|20)?\d\d(?!\2?\d)"
    r"|(?<!\d)(?<!\d )[0-3]?\d [01]?\d (?:19|20)\d\d(?! ?\d)"
    r"|(?<!\d)(?<!\d[ -])(?:1\d|20)\d\d-(?:1\d|20)\d\d(?! ?\d)"
    r"|\b[A-Z]{2} +\d{5}-\d{4}\b"
)
"""Labelled codes of goods, long decimal fractions, billions, dates, two years, and American postcodes."""
_INVISIBLE = frozenset("\N{COMBINING ENCLOSING KEYCAP}\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}")


def plain(text: str) -> str:
    """The text with ASCII digits, spaces, hyphens and forms, and without characters that take no room."""
    return "".join(map(_plain, text))


def _plain(character: str) -> str:
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cf" or character in _INVISIBLE:
        return ""
    if "\N{FULLWIDTH EXCLAMATION MARK}" <= character <= "\N{FULLWIDTH TILDE}":
        return chr(ord(character) - 0xFEE0)
    return {"Zs": " ", "Pd": "-"}.get(category, character)


def check_regions(regions: Sequence[str]) -> None:
    """Raise ValueError for a region that is no two-letter code of a country (`UK`, which is `GB`, is none)."""
    from phonenumbers import SUPPORTED_REGIONS

    unknown = sorted(set(regions) - SUPPORTED_REGIONS)
    if unknown:
        raise ValueError(f"no region {unknown}; regions are ISO 3166 codes such as {', '.join(REGIONS)}")


def has_card(text: str) -> bool:
    """Whether a plain text holds a number with a known issuer's first digits and length, and the right check digit."""
    from stdnum import luhn

    numbers = (re.sub(r"\D", "", match[1]) for match in _CARD.finditer(text))
    return any(_issued(number) and luhn.is_valid(number) for number in numbers)


def _issued(number: str) -> bool:
    return any(first.match(number) and len(number) in lengths for first, lengths in _ISSUERS)


def has_iban(text: str) -> bool:
    """Whether a plain text holds an account number of its country's form, with the right check digits."""
    from stdnum import iban

    starts = (accumulate(re.split("[ -]", match[1])) for match in _IBAN.finditer(text))
    return any(iban.is_valid(words) for candidates in starts for words in candidates)


def has_phone(text: str, regions: Sequence[str]) -> bool:
    """Whether a plain text holds a number that can be dialled in one of the regions, written as one does there."""
    from phonenumbers import Leniency, PhoneNumberMatcher

    text = _NO_PHONE.sub(" | ", text)
    # The region ZZ has no numbers of its own: it finds those with a country code.
    found = (m for region in ("ZZ", *regions) for m in PhoneNumberMatcher(text, region, Leniency.VALID))
    return any(_is_personal(match) for match in found)


def _is_personal(match: PhoneNumberMatch) -> bool:
    """Germany's pagers have numbers like years (1644), and somebody who counts to ten dials America."""
    from phonenumbers import PhoneNumberType, number_type

    groups = re.findall(r"\d+", match.raw_string)
    digits = sum(map(len, groups))
    # The most groups that are usual are France's pairs: +33 1 99 00 12 34.
    usual = digits >= FEWEST_DIGITS and 2 * len(groups) <= digits + 1
    return usual and number_type(match.number) != PhoneNumberType.PAGER


def find_personal(text: str, regions: Sequence[str] = REGIONS) -> Kind | None:
    """The kind of personal data in a text, or None; of several kinds the first of e-mail, IBAN, card and phone.

    Args:
        text: Any text.
        regions: ISO 3166 codes of the countries whose phone numbers are recognised without a country code.

    Raises:
        ValueError: There is no such region.
    """
    check_regions(regions)
    text = plain(text)
    if _EMAIL.search(text):
        return "email"
    if has_iban(text):
        return "iban"
    if has_card(text):
        return "card"
    return "phone" if has_phone(text, regions) else None


def personal(asset: TextAsset, kind: Kind) -> Excluded:
    """The row of a text that holds personal data; nothing of the text is repeated in it."""
    return Excluded("text", asset.id, asset.provenance.name, STAGE, f"personal_{kind}")


class Personal(beam.PTransform[Any, Any]):
    """`TextAsset`s -> `{"kept", "excluded"}`; texts that hold personal data are excluded as `personal_<kind>`.

    Args:
        regions: As for `find_personal`.
        tally: Counts `in`, `kept`, `excluded`.

    Raises:
        ValueError: There is no such region.
    """

    def __init__(self, regions: Sequence[str] = REGIONS, *, tally: Tally) -> None:
        super().__init__()
        check_regions(regions)
        self._look = _Look(tuple(regions), tally)

    def expand(self, assets: Any) -> dict[str, Any]:
        """Look at one text after the other."""
        rows = assets | "Look" >> beam.ParDo(self._look).with_outputs("excluded", main="kept")
        return {name: rows[name] for name in ("kept", "excluded")}


class _Look(beam.DoFn):
    def __init__(self, regions: tuple[str, ...], tally: Tally) -> None:
        self._regions, self._tally = regions, tally

    def process(self, asset: TextAsset) -> Iterator[Any]:
        kind = find_personal(asset.text, self._regions)
        self._tally.count("in")
        self._tally.count("excluded" if kind else "kept")
        yield beam.pvalue.TaggedOutput("excluded", personal(asset, kind)) if kind else asset

    def finish_bundle(self) -> None:
        self._tally.flush()
