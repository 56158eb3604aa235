import io
import re
import tracemalloc

import pytest

from heliograph.cli.bulk.batches import batches
from heliograph.cli.bulk.rows import BadRow, Row, read_rows
from heliograph.cli.exits import UsageInvalid
from heliograph.sdk import Message, Recipient
from heliograph.sdk.calls import MAX_MESSAGES_OCTETS, split_messages

HEADER = "dst,text,customerRef\n"


def rows(content, text=None):
    octets = content if isinstance(content, bytes) else content.encode()
    return list(read_rows(io.BytesIO(octets), "x.csv", text))


def a_row(line=2, dst="+49176", text="Hi", customer_ref=None):
    return Row(line, dst, text, customer_ref)


@pytest.mark.parametrize(
    "content",
    [
        "dst,text,customerRef\n+49176,Hi,7\n",
        "\ufeffdst,text,customerRef\r\n+49176,Hi,7\r\n",
        'customer_ref;"text";DST\n7;Hi; +49176 ',
        "dst\ttext\tcustomerRef\tcity\n+49176\tHi\t7\tBonn\n",
        'dst,text,customerRef\n"+49176","Hi","7"\n\n\n',
    ],
)
def test_a_file_is_read_as_spreadsheets_write_it(content):
    assert rows(content) == [a_row(customer_ref="7")]


def test_a_row_without_a_reference_has_none():
    assert rows("dst,text\n+49176,Hi\n") == rows(HEADER + "+49176,Hi,\n") == [a_row()]


def test_a_text_may_have_commas_quotes_and_lines_and_rows_are_told_by_the_line_they_begin_at():
    found = rows(HEADER + '1,"a, ""b""\nc\u2028d",\n\n2,e,\n')
    assert found == [a_row(2, "1", 'a, "b"\nc\u2028d'), a_row(5, "2", "e")]


def test_one_text_can_be_for_all_rows():
    assert rows("dst\n+49176\n", "Hi") == [a_row()]


@pytest.mark.parametrize(
    ("content", "text", "wrong"),
    [
        ("", None, "has no header row"),
        ("\n", None, "has no header row"),
        ("+49176,Hi\n", None, "has no column dst; its first line must be dst,text,customerRef"),
        ("dst\n1\n", None, "has no column text, and no TEXT is given for all rows"),
        ("dst,text\n1,a\n", "b", "only one of them can hold"),
        ("dst,text,dst\n", None, "has the column dst twice"),
        ("dst\n1\n", "", "TEXT is empty"),
        ("dst,text\n1,a\n".encode("utf-16"), None, "is UTF-16; save it as CSV in UTF-8"),
    ],
)
def test_a_file_without_the_right_columns_is_refused(content, text, wrong):
    with pytest.raises(UsageInvalid, match=re.escape(wrong)):
        rows(content, text)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",Hi,", "dst is empty"),
        (" ,Hi,", "dst is empty"),
        ("1,,", "text is empty"),
        ("1,Hi", "it has 2 fields, and the header 3; a text that holds commas needs quotes"),
        ("1,Hello, you,7", "it has 4 fields, and the header 3; a text that holds commas needs quotes"),
        (f"1,Hi,{'x' * 256}", "customerRef has 256 characters; at most 255 can be"),
        (b"1,caf\xe9,", "it is not UTF-8; save the file as CSV in UTF-8"),
        ('1,"a"b,', "it can't be read: ',' expected after '\"'"),
    ],
)
def test_a_row_that_can_not_be_sent_says_why_and_others_are_read_on(row, reason):
    octets = row if isinstance(row, bytes) else row.encode()
    assert rows(HEADER.encode() + octets + b"\n+49176,Hi,\n") == [BadRow(2, reason), a_row(3)]


def test_a_quote_that_is_never_closed_is_told_where_it_opens():
    assert rows(HEADER + '1,Hi,\n2,"Hi,\n3,Hi,\n') == [
        a_row(2, "1"),
        BadRow(3, "a quote is opened here and never closed"),
    ]
    told = rows(HEADER + '1,"Hi,\n' + "2,Hi,\n" * 30_000)
    assert told[0] == BadRow(2, "a field has more than 131072 characters; is a quote not closed?")


def test_a_file_is_read_again_from_its_start():
    file = io.BytesIO((HEADER + "+49176,Hi,\n").encode())
    assert list(read_rows(file, "x", None)) == list(read_rows(file, "x", None)) == [a_row()]


# Batches


def test_rows_with_the_same_text_share_a_message():
    [batch] = batches([a_row(2, "1", "a"), a_row(3, "2", "b", "x"), a_row(4, "3", "a")])
    assert batch.messages() == [
        Message("a", [Recipient("1"), Recipient("3")]),
        Message("b", [Recipient("2", "x")]),
    ]
    assert (batch.row_at(0, 1).line, batch.row_at(1, 0).line, batch.row_at(1, 1), batch.row_at(2, 0)) == (
        4,
        3,
        None,
        None,
    )
    assert batch.lines == (2, 4)


def test_a_batch_has_at_most_3000_rows():
    assert [len(batch.rows) for batch in batches(a_row(line) for line in range(7001))] == [3000, 3000, 1001]
    assert [(batch.number, len(batch.rows)) for batch in batches([a_row()] * 3, 2)] == [(1, 2), (2, 1)]
    assert list(batches([])) == []


@pytest.mark.parametrize("text", ["x" * 100_000, "\x01" * 100_000, "€" * 40_000])
def test_a_batch_fits_into_one_request_whatever_its_texts(text):
    found = list(batches(a_row(line, text=f"{text}{line}") for line in range(200)))
    assert len(found) > 1
    for batch in found:
        assert len(list(split_messages(batch.messages()))) == 1
    shared = list(batches(a_row(line, text=text) for line in range(3000)))
    assert [len(batch.rows) for batch in shared] == [3000]
    assert MAX_MESSAGES_OCTETS < 8 * 1024 * 1024


def test_a_digest_tells_any_change_of_a_row_and_no_change_of_its_line():
    digests = {
        next(batches([row])).digest()
        for row in (a_row(), a_row(dst="+49177"), a_row(text="Hj"), a_row(customer_ref=""), a_row(customer_ref="x"))
    }
    assert len(digests) == 5
    assert next(batches([a_row(2)])).digest() == next(batches([a_row(3)])).digest()


def test_memory_does_not_grow_with_the_rows():
    def peak(count):
        content = io.BytesIO((HEADER + "+4917612345678,Hello,\n" * count).encode())
        tracemalloc.start()
        for batch in batches(read_rows(content, "x", None)):
            batch.digest()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(30_000) < 1.3 * peak(6_000)
