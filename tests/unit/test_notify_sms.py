"""How a text is counted as an SMS and how names are made to fit."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.notify.sms import NAME_FLOOR, Name, Size, fit, measure, plain, shorten, without_symbols

RLO, ZWJ, NUL, LINE_SEPARATOR = "\u202e", "\u200d", "\x00", "\u2028"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("", Size("gsm7", 0, 1), id="nothing is one empty message"),
        pytest.param("a" * 160, Size("gsm7", 160, 1), id="160 septets are one message"),
        pytest.param("a" * 161, Size("gsm7", 161, 2), id="161 septets are two"),
        pytest.param("a" * 306, Size("gsm7", 306, 2), id="two parts hold 306 septets"),
        pytest.param("a" * 307, Size("gsm7", 307, 3), id="307 septets are three parts"),
        pytest.param("€" * 80, Size("gsm7", 160, 1), id="80 euro signs are 160 septets"),
        pytest.param("€" * 81, Size("gsm7", 162, 2), id="the extension table costs two septets each"),
        pytest.param("a" * 152 + "€" + "a" * 152, Size("gsm7", 306, 3), id="an escape is not split over two parts"),
        pytest.param("éèùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉÄÖÑÜ§äöñüà¡¿¤£¥", Size("gsm7", 39, 1), id="own letters"),
        pytest.param("^{}\\[~]|€", Size("gsm7", 18, 1), id="the whole extension table"),
        pytest.param("`", Size("ucs2", 1, 1), id="a backtick is not GSM"),
        pytest.param("ç", Size("ucs2", 1, 1), id="a small c cedilla is not GSM"),
        pytest.param("中" * 70, Size("ucs2", 70, 1), id="70 units are one message"),
        pytest.param("中" * 71, Size("ucs2", 71, 2), id="71 units are two"),
        pytest.param("中" * 134, Size("ucs2", 134, 2), id="two parts hold 134 units"),
        pytest.param("中" * 135, Size("ucs2", 135, 3), id="135 units are three parts"),
        pytest.param("😀" * 35, Size("ucs2", 70, 1), id="an emoji is two units"),
        pytest.param("中" * 66 + "😀" + "中" * 66, Size("ucs2", 134, 3), id="a surrogate pair is not split"),
    ],
)
def test_a_text_is_counted_as_an_sms_centre_counts_it(text, size):
    assert measure(text) == size


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("Toko Makmur", "Toko Makmur", id="an ordinary name stays"),
        pytest.param(
            "Toko “Makmur” \u2013 Sari\u2019s…", 'Toko "Makmur" - Sari\'s...', id="typography becomes typewriter"
        ),
        pytest.param("  a \t b\r\nc  ", "a b c", id="white space collapses to one line"),
        pytest.param(f"a{LINE_SEPARATOR}b\x85c", "a b c", id="other line breaks too"),
        pytest.param(f"x{NUL}{RLO}y\x1b[31m", "x y [31m", id="control and direction characters go"),
        pytest.param("Cafe\u0301", "Café", id="decomposed letters are composed"),
        pytest.param("東方大酒店", "東方大酒店", id="letters are not transliterated"),
        pytest.param("नमस्ते", "नमस्ते", id="combining letters stay"),
        pytest.param("a" * 500, "a" * 58 + "..", id="an endless name is cut"),
        pytest.param("", "", id="nothing stays nothing"),
    ],
)
def test_a_name_becomes_one_plain_line(name, shown):
    assert plain(name) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("Toko 🌸 Makmur", "Toko Makmur", id="an emoji goes"),
        pytest.param(f"Toko 👩🏽{ZWJ}💻 A", "Toko A", id="a joined one with skin colour goes whole"),
        pytest.param("1️⃣ Kasir", "1 Kasir", id="a keycap leaves its digit"),
        pytest.param("東方🌸", "東方", id="letters stay"),
        pytest.param("🌸🌸", "🌸🌸", id="a name of pictures alone stays"),
        pytest.param("a^b", "a^b", id="GSM's own symbols stay"),
    ],
)
def test_pictures_can_be_left_out(name, shown):
    assert without_symbols(name) == shown


@pytest.mark.parametrize(
    ("name", "limit", "shown"),
    [
        pytest.param("Front desk", 10, "Front desk", id="what fits stays"),
        pytest.param("Front desk", 9, "Front d..", id="one less is cut, the mark included"),
        pytest.param("Front desk", 8, "Front..", id="no space before the mark"),
        pytest.param("abcde\u0301fgh", 7, "abcd..", id="a letter is not cut from its accent"),
        pytest.param("ab", 1, "a..", id="at least one letter stays"),
    ],
)
def test_a_name_is_cut_at_a_letter(name, limit, shown):
    assert shorten(name, limit) == shown


def test_names_are_shortened_before_facts():
    text = fit([["MATI: ", Name("n" * 60), " (", Name("b" * 60), ")", ", fakta" * 10]], 1)

    assert text.endswith("), fakta" + ", fakta" * 9)
    assert text.count("n") == text.count("b")
    assert measure(text).units in (159, 160)


def test_a_picture_goes_only_where_it_would_cost_a_name_or_fact():
    short, long = ["Kasir: ", Name("🌸 depan")], ["Kasir: ", Name("🌸 depan"), ", fakta" * 10]

    assert fit([short], 1) == "Kasir: 🌸 depan"
    assert fit([long], 1) == "Kasir: depan" + ", fakta" * 10


def test_the_next_variant_is_taken_once_names_are_at_their_floor():
    full = [Name("n" * 60), "f" * (160 - NAME_FLOOR + 1)]
    lean = [Name("n" * 60), "f" * 100]

    assert fit([full, lean], 1) == "n" * 60 + "f" * 100


def test_facts_that_are_too_long_by_themselves_are_cut_at_the_end():
    text = fit([["f" * 200]], 1)

    assert text == "f" * 158 + ".."


letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=90)


@given(names=st.lists(letters, min_size=1, max_size=6), fact=letters, parts=st.integers(1, 3))
def test_whatever_the_names_the_text_fits(names, fact, parts):
    line = [piece for name in names for piece in (Name(plain(name)), ", ")]

    text = fit([[*line, plain(fact)], line[:1]], parts)

    assert measure(text).parts <= parts


@given(name=letters)
def test_a_plain_name_is_stable_and_holds_no_control_character(name):
    shown = plain(name)

    assert plain(shown) == shown
    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} for char in shown)
