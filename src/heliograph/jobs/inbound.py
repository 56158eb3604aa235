"""SMS from phones: their parts as carriers pass them on, put together, read, and understood where they say STOP."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from heliograph.gsm import national, septets, udh
from heliograph.gsm.national import Language
from heliograph.jobs.accounts import AccountId
from heliograph.jobs.addresses import e164, national_e164
from heliograph.jobs.records import InboundSms

REASSEMBLY_TIMEOUT: Final = timedelta(hours=24)
"""How long the parts of an SMS wait for those that are missing; SMSCs keep trying for about as long."""
REDELIVERY_WINDOW: Final = timedelta(minutes=2)
"""Within it, the same again is a carrier that didn't hear our acknowledgement; after it, a person who says it again."""
MISSING: Final = "[…]"
"""Stands in a text for parts that never came."""


class Alphabet(Enum):
    """How the octets of a part are to be read."""

    GSM = "gsm"
    """Septets, one to an octet: the default alphabet, or what the shift tables say."""
    LATIN_1 = "latin-1"
    """ISO 8859-1; ASCII is part of it."""
    UTF_16 = "utf-16"
    """UTF-16, big-endian unless a byte order mark says otherwise; UCS-2 is part of it."""
    CYRILLIC = "cyrillic"
    """ISO 8859-5."""
    HEBREW = "hebrew"
    """ISO 8859-8."""
    JAPANESE = "japanese"
    """The characters of JIS X 0208, as EUC has them, else as Shift JIS has them."""
    KOREAN = "korean"
    """The characters of KS C 5601, as EUC has them."""
    OCTETS = "octets"
    """No alphabet: UTF-8 if they are that, else each octet the Latin-1 character with its number, so that none is lost.
    """


class InboundPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of one SMS from a phone, whatever the carrier's protocol.

    src: the phone; E.164 with its `+` where the carrier says that it is international, else as the carrier says it.
    dst: which of our numbers or short codes it was sent to; in the same way.
    src_national, dst_national: whether the carrier says that it is a national number, of whatever country.
    octets: what this part carries, without any header. single, locking: its shift tables, for GSM alone.
    part, parts: its place, from 1, and how many there are; reference tells them from the phone's other SMS.
    wide: whether that is one of 16 bits, which is another than the same number of 8 bits.
    """

    src: str
    dst: str
    octets: bytes
    alphabet: Alphabet
    received_at: datetime
    src_national: bool = False
    dst_national: bool = False
    part: int = 1
    parts: int = 1
    reference: int = 0
    wide: bool = False
    single: Language = Language.DEFAULT
    locking: Language = Language.DEFAULT

    @property
    def thread(self) -> tuple[str, str, int, int]:
        """What all parts of one SMS have in common."""
        return self.src, self.dst, self.reference | _WIDE if self.wide else self.reference, self.parts

    def says_the_same(self, other: "InboundPart") -> bool:
        """Whether it is the other one once more."""
        return msgspec.structs.replace(self, received_at=other.received_at) == other


_WIDE: Final = 1 << 16
"""What is added to a reference of 16 bits, beyond all of them."""


def inbound_part(
    *,
    src: str,
    dst: str,
    user_data: bytes,
    alphabet: Alphabet,
    received_at: datetime,
    src_national: bool = False,
    dst_national: bool = False,
    has_header: bool = False,
    packed: bool = False,
    concatenation: udh.Concatenation | None = None,
) -> InboundPart:
    """A part from the user data that a carrier gives, with what its header says, if it has one.

    packed: GSM septets are packed (3GPP TS 23.038, 6.1.2.1) instead of one to an octet.
    concatenation: what the carrier says of it besides the header, as in SMPP's sar_* parameters.
    A header that can't be read is ignored, as the standard wants (TS 23.040, 9.2.3.24), and one that can't be there is
    text. Never raises.
    """
    elements: tuple[udh.InformationElement, ...] = ()
    octets = user_data
    if has_header and user_data:
        try:
            elements, octets = udh.parse(user_data)
            concatenation = udh.concatenation(elements) or concatenation
        except udh.MalformedHeader:
            elements = ()
        if not elements:
            octets = _text_behind_header(user_data, alphabet)
    header_octets = len(user_data) - len(octets)
    if alphabet is Alphabet.GSM:
        if packed:
            octets = septets.unpack(octets, fill_bits=septets.fill_bits_after(header_octets))
        octets = bytes(octet & 0x7F for octet in octets)
    return InboundPart(
        src=src,
        dst=dst,
        octets=octets,
        alphabet=alphabet,
        received_at=received_at,
        src_national=src_national,
        dst_national=dst_national,
        part=concatenation.part_number if concatenation else 1,
        parts=concatenation.part_count if concatenation else 1,
        reference=concatenation.reference if concatenation else 0,
        wide=concatenation is not None and concatenation.wide,
        single=_language(elements, national.SINGLE_SHIFT_ELEMENT),
        locking=_language(elements, national.LOCKING_SHIFT_ELEMENT),
    )


def _text_behind_header(user_data: bytes, alphabet: Alphabet) -> bytes:
    """The text where a header was announced and no element of one can be read: all of it, if there is none."""
    length_octets = user_data[0]
    text = user_data[1 + length_octets :]
    is_letter = length_octets >= _FIRST_LETTER
    # With a header's octets characters of two octets don't add up, without them they do.
    is_half = alphabet is Alphabet.UTF_16 and len(text) % 2 > len(user_data) % 2
    return user_data if is_letter or is_half or not text else text


_FIRST_LETTER: Final = 0x20
"""No header of that many octets and more can leave unread what it holds: it is a text's first letter, or a blank."""


def _language(elements: Iterable[udh.InformationElement], identifier: int) -> Language:
    named = [each.data[0] for each in elements if each.identifier == identifier and len(each.data) == 1]
    return national.language_of(named[-1]) if named else Language.DEFAULT


NOBODY: Final = AccountId(0)
"""Whose an SMS is that no account has asked for: it is kept, and nobody can read it."""


# Putting parts together


class KeptPart(NamedTuple):
    """A part that was received before. sms: what it shares with the parts of the same SMS; done: that was passed on."""

    sms: int
    done: bool
    part: InboundPart


class Redelivered(NamedTuple):
    """The part is there already."""


class BelongsTo(NamedTuple):
    """The part belongs to an SMS of which others are there; None is a new one. complete: it was the last missing."""

    sms: int | None
    complete: bool


def place(part: InboundPart, kept: Sequence[KeptPart]) -> Redelivered | BelongsTo:
    """To which SMS a part belongs. kept: what came before on its thread, in order.

    Phones use references again, some the same one each time. So a part that says something else than the one that
    has its place begins another SMS, and of several that lack it the newest gets it.
    """
    waiting: dict[int, set[int]] = {}
    for each in kept:
        if each.part.says_the_same(part):
            recent = part.received_at - each.part.received_at < REDELIVERY_WINDOW
            if recent or not each.done:
                return Redelivered()
        if not each.done:
            waiting.setdefault(each.sms, set()).add(each.part.part)
    for sms in sorted(waiting, reverse=True):
        if part.part not in waiting[sms]:
            return BelongsTo(sms, len(waiting[sms]) + 1 == part.parts)
    return BelongsTo(None, part.parts == 1)


def text_of(parts: Iterable[InboundPart]) -> str:
    """The text of an SMS from those of its parts that came, in any order; MISSING stands for the others."""
    ordered = sorted(parts, key=lambda part: part.part)
    texts: list[str] = []
    run: list[InboundPart] = []
    expected = 1
    for part in ordered:
        if part.part > expected:
            texts += (_decoded(run), MISSING)
            run = []
        if run and _reading(run[-1]) != _reading(part):
            texts.append(_decoded(run))
            run = []
        run.append(part)
        expected = part.part + 1
    texts.append(_decoded(run))
    if expected <= ordered[-1].parts:
        texts.append(MISSING)
    return "".join(texts)


def _reading(part: InboundPart) -> tuple[Alphabet, Language, Language]:
    return part.alphabet, part.locking, part.single


def _decoded(run: Sequence[InboundPart]) -> str:
    """Parts that are read in the same way are read together: some phones cut surrogate and escape pairs in two."""
    if not run:
        return ""
    octets = b"".join(part.octets for part in run)
    match run[0].alphabet:
        case Alphabet.GSM:
            return national.decode(octets, locking=run[0].locking, single=run[0].single)
        case Alphabet.LATIN_1:
            return octets.decode("latin-1")
        case Alphabet.UTF_16:
            codec = "utf-16" if octets[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-16-be"
            return octets.decode(codec, "replace")
        case alphabet:
            return _decoded_first(octets, _CODECS[alphabet])


def _decoded_first(octets: bytes, codecs: Iterable[str]) -> str:
    """By the first that can be; by none that is, no octet is lost."""
    for codec in codecs:
        try:
            return octets.decode(codec)
        except UnicodeDecodeError:
            continue
    return octets.decode("latin-1")


_CODECS: Final = {
    Alphabet.CYRILLIC: ("iso8859-5",),
    Alphabet.HEBREW: ("iso8859-8",),
    Alphabet.JAPANESE: ("euc-jp", "cp932"),
    Alphabet.KOREAN: ("cp949",),
    Alphabet.OCTETS: ("utf-8",),
}


# Whose it is, and what it wants


def phone_number(address: str, country: str | None = None, *, national: bool = False) -> str:
    """An address as jobs have it: E.164 where it is a possible number, else as it is, as short codes and names are.

    Without a `+` it is read as international from nine digits on: carriers often leave the `+` out, and no short
    code is that long. A `national` one never is, nor one with a single 0 in front, which no calling code begins with.
    country: whose numbers national ones are; without it, they stay as they are, for they could be anybody's.
    """
    digits = address.removeprefix("+").removeprefix("00")
    if not (digits.isascii() and digits.isdigit()):
        return address
    if digits == address and (national or address.startswith("0")):
        return (national_e164(address, country) if country else None) or address
    if digits == address and len(digits) < _SHORTEST_BARE_NUMBER:
        return address
    return e164("+" + digits, None) or address


_SHORTEST_BARE_NUMBER: Final = 9


class Wish(Enum):
    """What an SMS that says nothing else wants of its account."""

    STOP = "stop"
    """To get nothing more: its sender goes on the blocklist."""
    START = "start"
    """To get SMS again."""


def wish_heard(sms: InboundSms) -> Wish | None:
    """What an SMS wants, if it has an account that can do it, and comes from a number that a blocklist can hold."""
    if sms.account == NOBODY:
        return None
    wish = wish_of(sms.text)
    return wish if wish and e164(sms.src, None) == sms.src else None


def wish_of(text: str) -> Wish | None:
    """What a text wants that says STOP, START or their kin and nothing more.

    Case, accents and whatever stands around the word, spaces and punctuation, mean nothing, and a Greek letter is the
    Latin one that looks like it: phones write it so, where the default alphabet has no Greek one. STOP may be followed
    by a number, that of the sender as people are told to write it in some countries. YES is none of START's kin: it
    answers other questions as well.
    """
    if len(text) > _LONGEST_WISH:
        return None
    words = _WORD.findall(_plain(text))
    if words[:1] == ["STOP"] and all(word.isdecimal() for word in words[1:]):
        return Wish.STOP
    return _WISHES.get(" ".join(words))


_LONGEST_WISH: Final = 60
_WORD: Final = re.compile(r"\w+")
_STOP_WORDS: Final = (
    "STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT",  # en
    "ARRET", "ARRETER", "DESABONNER", "DESINSCRIRE",  # fr
    "STOPP", "ABMELDEN", "ABBESTELLEN",  # de
    "BAJA", "ALTO", "PARE", "DETENER", "PARAR", "CANCELAR", "SAIR", "DESCADASTRAR", "REMOVER",  # es, pt
    "ANNULLA", "DISISCRIVI", "DISISCRIVIMI", "CANCELLAMI",  # it
    "AFMELDEN", "UITSCHRIJVEN", "AFMELD", "FRAMELD", "SLUTA", "AVSLUTA", "AVREGISTRERA", "LOPETA",  # nl, da, sv, fi
    "WYPISZ", "ZASTAVIT", "ZRUSIT", "ODHLASIT", "LEIRATKOZAS", "DEZABONARE",  # pl, cs, sk, hu, ro
    "IPTAL", "RET", "СТОП", "ОТПИСАТЬСЯ", "ВІДПИСАТИСЯ", "ΣΤΟΠ", "ΔΙΑΚΟΠΗ",  # tr, ru, bg, uk, el
    "停止", "退订", "退訂", "配信停止", "수신거부", "إيقاف", "توقف", "הסר",  # zh, ja, ko, ar, he
)  # fmt: skip
_START_WORDS: Final = (
    "START", "UNSTOP", "SUBSCRIBE", "RESUBSCRIBE", "RESUME", "OPTIN", "OPT IN",  # en
    "REPRENDRE", "ANMELDEN", "ALTA", "RIPRENDI", "AANMELDEN", "TILMELD", "СТАРТ",  # fr, de, es, it, nl, da, ru
)  # fmt: skip


def _plain(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word)
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return bare.upper().translate(_LOOKALIKES)


_LOOKALIKES: Final = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX")
"""The Greek capitals that TS 23.038, 6.2.1, has no code for, and those by which they are written instead."""


_WISHES: Final = {_plain(word): Wish.STOP for word in _STOP_WORDS} | {_plain(word): Wish.START for word in _START_WORDS}
