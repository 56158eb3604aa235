"""The number an SMS goes to (dst). Which numbers are possible or valid is libphonenumber's knowledge.

Contract: section 1, `…recipients[].dst`.
"""

import re
from functools import cache
from typing import NamedTuple

from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
    format_number,
    is_possible_number,
    is_possible_number_with_reason,
    is_valid_number,
    normalize_digits_only,
    number_type,
    parse,
    region_code_for_country_code,
    region_code_for_number,
)

WORLD = "001"  # libphonenumber's region (UN M.49) of +800, +870 and other codes of no country
LONGEST_NATIONAL_NUMBER = 17  # digits that libphonenumber reads after a calling code


def e164(dst: str, country: str | None) -> str | None:
    """The E.164 form, `+4917612345678`, of a number in any usual spelling; None when it is no possible one.

    Spaces, dashes, dots, slashes, brackets, a `tel:` in front and digits of any script are usual. Letters,
    extensions and everything else are not: no SMS goes to an extension, and without it, it is another number.

    country: ISO region whose national numbers need no `+`; None reads international numbers only.
    Contract: section 1, `…recipients[].dst`.
    """
    digits = _digits(dst)
    if digits is None:
        return None
    if digits[0] == "+":
        return _international(digits[1:])
    for prefix in _prefixes_abroad(country):
        if digits.startswith(prefix) and (number := _international(digits[len(prefix) :])):
            return number
    national = _national(digits, country) if country else None
    return national or _international(digits) or (_possible_national(digits, country) if country else None)


def national_e164(digits: str, country: str) -> str | None:
    """The E.164 form of digits that are a national number for certain, with the country's national prefix or without.

    None where they are no number there, or so short that they may as well be a short code. They are never read as
    another country's; the country's own calling code may stand before a mobile number, as carriers at times put it.
    """
    number = _parsed(digits, country)
    if number is None or not is_valid_number(number):
        return _possible_national(digits, country) if len(digits) >= _SHORTEST_LANDLINE else None
    if number_type(number) not in _MOBILE_TYPES:
        with_code = _parsed("+" + digits)
        if (
            with_code
            and with_code.country_code == number.country_code
            and is_valid_number(with_code)
            and number_type(with_code) in _MOBILE_TYPES
        ):
            number = with_code
        elif len(digits) < _SHORTEST_LANDLINE:
            return None
    return format_number(number, PhoneNumberFormat.E164)


_SHORTEST_LANDLINE = 9
"""In digits as dialled; in open plans, as Germany's, fewer may be nearly anything."""


def country_of(number: str) -> str | None:
    """ISO region of an E.164 number; None where there is none (satellite, freephone) or it can't be told."""
    parsed = _parsed(number)
    region = region_code_for_number(parsed) if parsed else None
    return None if region == WORLD else region


def is_country(code: str) -> bool:
    """Whether `code` is an ISO region in capitals, such as DE, whose national numbers we can read."""
    return code in SUPPORTED_REGIONS


_SEPARATORS = re.compile(
    r"[\s().\[\]/\-"
    r"\xad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"  # marks without width, from pasted text
    r"\u2010-\u2015\u2212\uff08\uff09\uff0d-\uff0f]+"  # dashes, the minus sign, full-width punctuation
)
_NUMBER = re.compile(r"(?:tel:)?([+\uff0b]?)(\d+)", re.IGNORECASE)


def _digits(spelling: str) -> str | None:
    """ASCII digits, after a `+` if the spelling has one; None when something in it belongs to no number."""
    if spelling[1:].isdigit() and spelling[0] in "+0123456789" and spelling.isascii():
        return spelling  # The usual case, many times faster than what follows.
    number = _NUMBER.fullmatch(_SEPARATORS.sub("", spelling))
    if number is None:
        return None
    plus, digits = number.groups()
    return ("+" if plus else "") + "".join(str(int(digit)) for digit in digits)


@cache
def _prefixes_abroad(country: str | None) -> tuple[str, ...]:
    """What is dialled before a calling code: a country's own prefix (US 011, AU 0011), then the general 00.

    Where each telephone company has its own (SG 001 to 039), 00 comes first: 0049 would be one of theirs.
    """
    metadata = PhoneMetadata.metadata_for_region(country) if country else None
    if metadata is None:
        return ("00",)
    own = metadata.preferred_international_prefix or metadata.international_prefix or ""
    own = own.replace("~", "")  # RU 8~10: the tilde is a wait for the dialling tone.
    return (own, "00") if re.fullmatch("[0-9]{3,}", own) else ("00",)


def _national(digits: str, country: str) -> str | None:
    """The number that `digits` reach when dialled in `country`; None when not valid there, or hardly meant.

    libphonenumber finds a landline in nearly any digits: for DE in 436641234567, an Austrian mobile number,
    and in 4917612345678 (as 0491 7612345678). So what is also a valid international number is a national one
    only if it is mobile, or written as the country writes it, with the 0 if it has one.
    """
    number = _parsed(digits, country)
    if number is None or not is_valid_number(number):
        return None
    if number_type(number) not in _MOBILE_TYPES:
        as_written_there = normalize_digits_only(format_number(number, PhoneNumberFormat.NATIONAL))
        abroad = _parsed("+" + digits)
        if digits != as_written_there and abroad and is_valid_number(abroad):
            return None
    return format_number(number, PhoneNumberFormat.E164)


def _possible_national(digits: str, country: str) -> str | None:
    """The number that digits are which begin with the country's national prefix, though it isn't valid; or None.

    Such are numbers that nobody has, as those for films and examples, and those younger than our libphonenumber.
    """
    metadata = PhoneMetadata.metadata_for_region(country)
    prefix = metadata.national_prefix if metadata else None
    if not prefix or not digits.startswith(prefix):
        return None
    number = _parsed(digits, country)
    if number is None or number.italian_leading_zero:  # With a zero left, it was none with that prefix.
        return None
    # What is possible without its area code alone can't be reached from here.
    is_whole = is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    return format_number(number, PhoneNumberFormat.E164) if is_whole else None


_MOBILE_TYPES = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


def _international(digits: str) -> str | None:
    """E.164 of the digits after a `+`; None when they are no possible number.

    libphonenumber takes 20 µs for it, though it looks at the length alone unless a national prefix may follow
    the calling code, as in +49 (0)176. Where none can, so do we.
    """
    plan = _numbering_plan(digits[:3])
    if plan and len(digits) in plan.possible_lengths and not plan.may_have_national_prefix(digits):
        return "+" + digits
    number = _parsed("+" + digits)
    return format_number(number, PhoneNumberFormat.E164) if number and is_possible_number(number) else None


def _parsed(digits: str, country: str | None = None) -> PhoneNumber | None:
    try:
        return parse(digits, country)
    except NumberParseException:
        return None


class _NumberingPlan(NamedTuple):
    calling_code_length: int
    possible_lengths: frozenset[int]  # calling code included
    national_prefix: re.Pattern[str] | None

    def may_have_national_prefix(self, digits: str) -> bool:
        prefix = self.national_prefix
        return prefix is not None and prefix.match(digits, self.calling_code_length) is not None


@cache
def _numbering_plan(first_digits: str) -> _NumberingPlan | None:
    """The plan of the numbers that begin so; three digits tell, for no calling code begins another."""
    if first_digits.startswith("0"):
        return None
    for code_length in range(1, len(first_digits) + 1):
        calling_code = int(first_digits[:code_length])
        region = region_code_for_country_code(calling_code)
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(calling_code, region)
        if metadata is not None:
            prefix = metadata.national_prefix_for_parsing
            return _NumberingPlan(
                calling_code_length=code_length,
                possible_lengths=frozenset(
                    code_length + length
                    for length in range(1, LONGEST_NATIONAL_NUMBER + 1)
                    if is_possible_number(PhoneNumber(calling_code, 10 ** (length - 1)))
                ),
                national_prefix=re.compile(prefix) if prefix else None,
            )
    return None
