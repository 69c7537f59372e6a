from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.progress import Tally, read_progress
from pipelines.stages.personal import Personal, find_personal, plain
from schemas.records import Excluded, Provenance

# Numbers are from ranges kept free for stories and tests, or the examples of the standards.
EMAILS = [
    "Write to ada@example.org.",
    "Ada <ada.l+shop@mail.example.co.uk>",
    "ADA@EXAMPLE.ORG",
    "mailto:ada_l%x@example.museum?subject=hi",
    "bücher@exämple.de ist meine",
    "(a-b@x-y.example.com)",
]
PHONES = [
    "Call (212) 555-0143 tonight",
    "text 202.555.0143",
    "+1 202-555-0143",
    "2025550143",
    "my number is 020 7946 0958",
    "+44 20 7946 0958, ask for Sam",
    "ruf an: 030 23125 123",
    "+49 (0)30 23125-123",
    "01 99 00 12 34",
    "0033 1 99 00 12 34",
    "+61 491 570 006",
]
CARDS = [
    "pay with 4111 1111 1111 1111",
    "4111-1111-1111-1111 123 07/29",
    "5555555555554444",
    "3782 822463 10005",
    "378282246310005",
    "3056 930902 5904",
    "6011111111111117.",
    "3530111333300000",
    "in 2024 4111 1111 1111 1111",
]
IBANS = [
    "GB82 WEST 1234 5698 7654 32",
    "to DE89370400440532013000, please",
    "de89 3704 0044 0532 0130 00 by May",
    "FR14 2004 1010 0505 0001 3M02 606 is mine",
    "NL91-ABNA-0417-1643-00",
]
EVERYDAY = [
    "We met on 21.03.2020 at 18:30.",
    "The war of 1914-1918 changed the town.",
    "It was built in 1644 and burnt down in 1902.",
    "The 1990s, 2000s and 2010s were loud.",
    "Born 03/21/1985, married 06/12/2010.",
    "2024-01-15 12:30:00 the door opened",
    "Am 06.08.61 12.40 Uhr begann es.",
    "Le 06 08 1961, il faisait beau.",
    "Backup of 20240115123000 is ready",
    "Open Mon-Fri 9:00-17:30, Sat 10-14.",
    "Trains at 07:12, 07:42, 08:12 and 08:42.",
    "See you at 5!",
    "It costs $1,299.99 or 12 payments of $108.33.",
    "£1,000,000 in prizes",
    "Rent is 1.250,00 € plus 180,50 € heating.",
    "The town has 3,100,756 people and 12 000 000 trees.",
    "The light travelled 8 383 804 896 km.",
    "About 7 500 000 000 people share it",
    "Profit rose from 12,345,678 to 23,456,789.",
    "50 % off everything, 3 for 2",
    "Mix 250 g flour, 125 g butter and 2 eggs; bake 25-30 min at 180 °C.",
    "Add 1/2 cup of sugar, 3/4 tsp salt, 1 1/2 cups milk.",
    "Serves 4-6. Per portion: 350 kcal, 12 g fat, 45 g carbs.",
    "2 x 400 ml coconut milk, 1 x 200 g tofu",
    "The board measures 1200 x 600 x 18 mm.",
    "He is 1.83 m tall and weighs 78.5 kg.",
    "Blood pressure 120/80, pulse 72",
    "Tyres 205/55 R16 91V",
    "It ran at 3840 x 2160, 60 fps, 1000 nits.",
    "My sofa is 2m20 by 0m95.",
    "pi is 3.14159265358979 and e is 2.71828182845904",
    "A share of 0.2025550143 of the total",
    "At 52.5200, 13.4050 stands a tower.",
    "40.712776, -74.005974 is where we start",
    "Flight BA 2490 leaves from gate 23 at 14:05.",
    "Bus 42, then the M4 to exit 11",
    "Room 1204, floor 12, seat 14C",
    "The flat is at 221B, the shop at 350.",
    "Boston, MA 02110-1301 was where it started.",
    "ISBN 978-0-306-40615-7, 320 pages",
    "ISBN 0-306-40615-2 is a textbook.",
    "EAN: 4006381333931",
    "Chapter 3, pages 104-117, figure 3.2.1",
    "Version 10.0.19045.3693 fixes it.",
    "Ping 192.168.100.200 and 10.0.0.1",
    "RFC 2606, section 3",
    "Final score 101-98; sets 6-4 3-6 7-6",
    "He ran 100 m in 9.58, 200 m in 19.19 and 10 km in 26:24.",
    "I rolled 6, 5, 5, 4, 3, 1.",
    "1 2 3 4 5 6 7 8 9 10, here I come!",
    "Count 10 20 30 40 50 60 70 80 90 100",
    "The odds are 1 in 13,983,816.",
    "It's 10:10 @home. Bye.",
    "3 apples @ 0.50 each",
    "Follow @sam and @ada@social.example.org",
    "Export the icon as logo@2x.png and logo@3x.png",
    "Look at https://example.org/2020/03/21/ten-cakes",
    "#1 fan since 2009!!! 100%",
    "Call me when you are home",
    "Order no. 4006-381 from 2 May",
    "IS23 and GB24 are project names.",
    "Card number 1234 5678 9012 3456 is made up.",
    "A woman is holding an umbrella for a runner wearing number 13406.",
]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (kind, text)
        for kind, texts in (("email", EMAILS), ("phone", PHONES), ("card", CARDS), ("iban", IBANS))
        for text in texts
    ],
)
def test_personal_data_is_found_by_its_kind(kind: str, text: str) -> None:
    assert find_personal(text) == kind


@pytest.mark.parametrize("text", EVERYDAY)
def test_everyday_sentences_hold_nothing_personal(text: str) -> None:
    assert find_personal(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "DE89 3704 0044 0532 0130 01",
        "1111 1111 1111 1117",
        "x4111111111111111",
        "41111111111111110",
    ],
)
def test_numbers_with_a_wrong_check_digit_issuer_or_length_are_nothing(text: str) -> None:
    assert find_personal(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "٠٢٠ ٧٩٤٦ ٠٩٥٨",
        "０２０ ７９４６ ０９５８",
        "0\u200b20 79\u00ad46 09\u206058",
        "020\u00a07946\u20110958",
        "0️⃣2️⃣0️⃣7️⃣9️⃣4️⃣6️⃣0️⃣9️⃣5️⃣8️⃣",
        "𝟎𝟐𝟎 𝟕𝟗𝟒𝟔 𝟎𝟗𝟓𝟖",
    ],
)
def test_other_digits_spaces_and_hidden_characters_do_not_hide_a_number(text: str) -> None:
    assert find_personal(text) == "phone"


@pytest.mark.parametrize("text", ["ada＠example．org", "a\u200bda@exam\u200dple.org"])
def test_wide_and_hidden_characters_do_not_hide_an_address(text: str) -> None:
    assert find_personal(text) == "email"


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert find_personal(text) in (None, "email", "phone", "card", "iban")


@settings(deadline=None)
@given(st.integers(0, 9999))
def test_a_number_of_up_to_four_digits_is_never_personal(number: int) -> None:
    assert find_personal(f"In {number} there were {number} of them at #{number}.") is None


@settings(deadline=None)
@given(st.integers(1000, 2100), st.integers(1000, 2100))
def test_years_from_and_to_are_never_personal(start: int, end: int) -> None:
    assert find_personal(f"It stood there {start}-{end} ({start}–{end}, {start} to {end}).") is None


@settings(deadline=None)
@given(st.dates(), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%y", "%d %m %Y"]))
def test_a_date_is_never_personal(date: Any, form: str) -> None:
    date = date.replace(year=1900 + date.year % 200)
    assert find_personal(f"on {date.strftime(form)} we met") is None


def test_regions_say_which_national_numbers_are_found() -> None:
    assert find_personal("020 7946 0958", ["US"]) is None
    assert find_personal("020 7946 0958", ["GB"]) == "phone"
    assert find_personal("+44 20 7946 0958", []) == "phone"


@pytest.mark.parametrize("region", ["UK", "us", ""])
def test_a_region_that_does_not_exist_is_refused(region: str, tally: Tally) -> None:
    with pytest.raises(ValueError, match="no region"):
        find_personal("hello", ["DE", region])
    with pytest.raises(ValueError, match="no region"):
        Personal(["DE", region], tally=tally)


def test_a_long_text_is_searched_quickly() -> None:
    for piece in ("a.", "1 ", "12 ", "4111 ", "GB82 ", "a@", "a@b.", "0"):
        assert find_personal(piece * (1000 // len(piece))) is None


def test_texts_are_kept_or_excluded_with_the_kind(run: Any, text: Any, tally: Tally) -> None:
    texts = [text(words) for words in ("A cup of tea.", EMAILS[0], PHONES[0], CARDS[0], IBANS[0])]
    out = run(Personal(tally=tally), texts)
    assert out["kept"] == texts[:1]
    reasons = {row.id: row.reason for row in out["excluded"]}
    kinds = ("email", "phone", "card", "iban")
    assert reasons == {asset.id: f"personal_{kind}" for asset, kind in zip(texts[1:], kinds, strict=True)}


def test_an_excluded_row_does_not_repeat_the_data(run: Any, text: Any, tally: Tally) -> None:
    asset = text(EMAILS[0])._replace(provenance=Provenance("texts.csv", "7", "retrieved"))
    (row,) = run(Personal(tally=tally), [asset])["excluded"]
    assert row == Excluded("text", asset.id, "7", "screen", "personal_email", detail="")


def test_the_regions_of_the_stage_are_those_it_was_given(run: Any, text: Any, tally: Tally) -> None:
    assets = [text("020 7946 0958")]
    assert run(Personal(("US",), tally=tally), assets) == {"kept": assets, "excluded": []}


def test_what_comes_in_is_counted(run: Any, text: Any, tmp_path: Path) -> None:
    texts = [text("A cup of tea."), text(EMAILS[0]), text("Good night.")]
    run(Personal(tally=Tally(str(tmp_path / "run"), "personal")), texts)
    assert read_progress(tmp_path / "run") == {"personal": {"in": 3, "kept": 2, "excluded": 1}}
