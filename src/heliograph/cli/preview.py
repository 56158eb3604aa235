"""`heliograph preview`."""

from typing import Annotated

from cyclopts import App, Parameter

from heliograph.cli.client_flags import ClientFlags
from heliograph.cli.connecting import connected, with_json
from heliograph.cli.examples import examples
from heliograph.cli.exits import UsageInvalid
from heliograph.cli.option_flags import JobOptionFlags, sent_options
from heliograph.cli.send import CsvFile, Text, To, message_of, name_of
from heliograph.cli.send_csv import preview_csv
from heliograph.cli.tables import preview_tables, print_json, stdout
from heliograph.sdk.calls import preview_job

app = App(
    name="preview",
    help_epilogue=examples(
        'heliograph preview "Your café code is 123456 🎉" --to +447700900123',
        'heliograph preview "Čau" --to 07700900456 --invalid-characters TRANSLITERATE --json',
        "heliograph preview --csv reminders.csv",
    ),
)


@app.default
def preview(
    text: Text = None,
    /,
    *,
    to: To = None,
    csv_file: CsvFile = None,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), show_default=False, help="Print what the API answered.")
    ] = False,
    options: JobOptionFlags | None = None,
    client: ClientFlags | None = None,
) -> None:
    """Show how texts would be cut and encoded, how numbers are read, and when and by whom each SMS would be sent."""
    given = sent_options(options)
    if csv_file is not None:
        if to:
            raise UsageInvalid("--csv and --to don't go together: the file says who gets what")
        preview_csv(csv_file, text, given, client or ClientFlags(), as_json=as_json)
        return
    messages = [message_of(text, to)]
    with connected(client, lambda field: name_of(field, to or [])) as service:
        told, found = service.call(with_json(preview_job(messages, given)))
    if as_json:
        print_json(told)
        return
    if found.refused:
        print("The job would be refused: a text holds characters that STANDARD can't carry.")
    texts, numbers = preview_tables(found)
    stdout().print(texts)
    print()
    stdout().print(numbers)
