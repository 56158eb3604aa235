"""Contract: section 1, `…recipients[].dst`."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.jobs.addresses import country_of, e164, is_country

MOBILE = phonenumbers.PhoneNumberType.MOBILE
E164 = phonenumbers.PhoneNumberFormat.E164
NATIONAL = phonenumbers.PhoneNumberFormat.NATIONAL

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
EXAMPLES = {
    region: number for region in REGIONS if (number := phonenumbers.example_number_for_type(region, MOBILE)) is not None
}


def by_libphonenumber(spelling, country=None):
    try:
        number = phonenumbers.parse(spelling, country)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(number, E164) if phonenumbers.is_possible_number(number) else None


@pytest.mark.parametrize(
    "spelling",
    [
        "+4917612345678",
        "+49 176 1234 5678",
        "+49 (0)176 12345678",
        "+49 0176/12345678",
        "(+49) 176.12345678",
        "+49\N{NO-BREAK SPACE}176\N{NON-BREAKING HYPHEN}12345678",
        "\N{LEFT-TO-RIGHT EMBEDDING}+49 176 12345678\N{POP DIRECTIONAL FORMATTING}",
        "\N{FULLWIDTH PLUS SIGN}４９１７６１２３４５６７８",
        "tel:+49-176-12345678",
        "TEL: +49 176 12345678",
        " +4917612345678\n",
        "004917612345678",
        "0049 176 12345678",
        "4917612345678",
        "49 176 12345678",
    ],
)
@pytest.mark.parametrize("country", [None, "DE", "US", "SG"])
def test_an_international_number_is_the_same_in_every_usual_spelling_and_account(spelling, country):
    assert e164(spelling, country) == "+4917612345678"


@pytest.mark.parametrize(
    "spelling", ["017612345678", "0176 1234 5678", "(0)176-12345678", "0176/12345678", "٠١٧٦١٢٣٤٥٦٧٨"]
)
def test_a_national_number_needs_the_account_s_country(spelling):
    assert e164(spelling, "DE") == "+4917612345678"
    assert e164(spelling, None) is None


@pytest.mark.parametrize(
    ("spelling", "country", "number"),
    [
        ("07700900123", "GB", "+447700900123"),  # Ofcom's, for films
        ("07700 900123", "GB", "+447700900123"),
        ("(0)7700 900123", "GB", "+447700900123"),
        ("01234", "DE", "+491234"),  # An open plan has numbers of nearly any length.
        ("7700900123", "GB", None),  # Without its 0 it might be anything.
        ("07700900123", None, None),
        ("0770090012345", "GB", None),
        ("0123", "GB", None),
        ("012", "DE", None),
        ("012345678", "GB", None),  # possible within one town alone
    ],
)
def test_a_possible_number_with_the_country_s_prefix_need_not_be_valid(spelling, country, number):
    assert e164(spelling, country) == number


@pytest.mark.parametrize("region", EXAMPLES)
def test_every_country_s_numbers_are_read_as_that_country_writes_them(region):
    number = EXAMPLES[region]
    as_written_there = phonenumbers.format_number(number, NATIONAL)
    assert e164(as_written_there, region) == phonenumbers.format_number(number, E164)


def test_what_is_valid_as_a_mobile_number_of_the_country_is_not_taken_for_an_international_one():
    assert e164("16012345678", "DE") == "+4916012345678"  # +1 601 2345678 is in Mississippi
    assert e164("4722345678", "US") == "+14722345678"  # +47 22345678 is in Oslo


def test_an_international_number_without_a_plus_is_not_taken_for_a_landline_written_without_its_0():
    assert e164("436641234567", "DE") == "+436641234567"  # 04366 41234567 would be on the Baltic coast
    assert e164("0436641234567", "DE") == "+49436641234567"


def test_a_landline_written_as_the_country_writes_it_is_not_taken_for_an_international_number():
    assert e164("6765 4321", "SG") == "+6567654321"  # +676 54321 is in Tonga


@pytest.mark.parametrize(
    ("spelling", "country"),
    [
        ("011 49 176 12345678", "US"),
        ("0011 49 176 12345678", "AU"),
        ("010 49 176 12345678", "JP"),
        ("8 10 49 176 12345678", "RU"),
        ("001 49 176 12345678", "HK"),
    ],
)
def test_a_country_s_own_way_to_dial_abroad_is_understood(spelling, country):
    assert e164(spelling, country) == "+4917612345678"


def test_a_country_s_own_way_to_dial_abroad_comes_before_the_general_one():
    assert e164("0011 65 8123 4567", "AU") == "+6581234567"  # 00 1 165 812 34567 would be American


@pytest.mark.parametrize(
    "no_number",
    [
        "",
        "+",
        "0",
        "00",
        "+49",
        "tel:",
        "110",
        "12345",
        "+999123456789",
        "+49" + "1" * 20,
        "1" * 10_000,
        "²²²²²²²²²²²",
    ],
)
@pytest.mark.parametrize("country", [None, "DE", "US"])
def test_what_is_no_possible_number_is_none(no_number, country):
    assert e164(no_number, country) is None


@pytest.mark.parametrize(
    "spelling",
    [
        "+1 800 FLOWERS",
        "+1 212 555 0100 x5",
        "+1 212 555 0100 ext. 5",
        "+1 212 555 0100,5",
        "+1 212 555 0100;ext=5",
        "+1 212 555 0100 #",
        "+1 212 555 0100 (office)",
        "mobile: +1 212 555 0100",
        "++12125550100",
        "+1+2125550100",
        "*12125550100",
        "+12125550100\ud800",
    ],
)
def test_letters_extensions_and_rubbish_make_it_no_number_rather_than_another_one(spelling):
    assert e164(spelling, "US") is None


def test_an_unknown_country_reads_international_numbers_only():
    assert e164("+4917612345678", "XX") == "+4917612345678"
    assert e164("017612345678", "XX") is None


calling_codes = st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
digits = st.text("0123456789", min_size=1, max_size=16)


@given(digits)
def test_any_digits_after_a_plus_are_judged_as_by_libphonenumber(digits):
    assert e164(f"+{digits}", None) == by_libphonenumber(f"+{digits}")


@given(calling_codes, st.sampled_from(["", "0", "1", "8", "06", "15", "011", "9"]), digits)
def test_national_prefixes_after_a_calling_code_are_judged_as_by_libphonenumber(calling_code, prefix, digits):
    spelling = f"+{calling_code}{prefix}{digits}"
    assert e164(spelling, None) == by_libphonenumber(spelling)


@pytest.mark.parametrize("number_type", phonenumbers.PhoneNumberType.values())
def test_the_example_numbers_of_all_countries_are_judged_as_by_libphonenumber(number_type):
    for region in REGIONS:
        number = phonenumbers.example_number_for_type(region, number_type)
        if number is not None:
            spelling = phonenumbers.format_number(number, E164)
            for changed in (spelling, spelling[:-1], spelling + "1", spelling[:2] + "0" + spelling[2:]):
                assert e164(changed, region) == by_libphonenumber(changed, region)


@given(st.text(), st.sampled_from([None, "XX", *REGIONS]))
def test_any_text_is_a_number_or_none(text, country):
    number = e164(text, country)
    assert number is None or number[1:].isdecimal()


@given(st.text("+0123456789 ()-", max_size=20), st.sampled_from([None, *REGIONS]))
def test_a_number_once_read_is_read_as_itself(spelling, country):
    number = e164(spelling, country)
    if number is not None and phonenumbers.is_valid_number(phonenumbers.parse(number)):
        assert e164(number, country) == number


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+4917612345678", "DE"),
        ("+14165550100", "CA"),
        ("+80012345678", None),
        ("+999123", None),
        ("rubbish", None),
    ],
)
def test_a_number_tells_its_country_if_it_has_one(number, country):
    assert country_of(number) == country


def test_a_country_is_an_iso_region_in_capitals():
    assert is_country("DE")
    assert not any(map(is_country, ["de", "DEU", "ZZ", "001", ""]))
