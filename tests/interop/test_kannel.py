"""Kannel, the open source gateway of long standing, as a client of our simulator: HTTP in, receipts and SMS out."""

import signal
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.interop.programs import can_connect, eventually, free_port, missing, program_at, running, simulator

DELIVERED, FAILED, ENROUTE, AT_SMSC, REFUSED, EXPIRED = "1", "2", "4", "8", "16", "34"
"""What a report of Kannel's is about."""

CONFIGURATION = """\
group = core
admin-port = {admin_port}
admin-password = secret
smsbox-port = {smsbox_port}
box-allow-ip = 127.0.0.1
dlr-storage = internal
sms-resend-freq = 1

group = smsc
smsc = smpp
smsc-id = simulator
host = 127.0.0.1
port = {smsc_port}
smsc-username = helio
smsc-password = secret
system-type = ""
transceiver-mode = true
enquire-link-interval = 1
reconnect-delay = 1
msg-id-type = {msg_id_type}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http_port}

group = sendsms-user
username = tester
password = secret
concatenation = true
max-messages = 10

group = sms-service
keyword = default
get-url = "http://127.0.0.1:{callback_port}/inbound?from=%p&to=%P&text=%a"
max-messages = 0
"""


class Callbacks:
    """What Kannel has called us with."""

    def __init__(self):
        self.called = []
        callbacks = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlsplit(self.path)
                callbacks.called.append((url.path, {name: values[0] for name, values in parse_qs(url.query).items()}))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port

    @contextmanager
    def served(self):
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def reports(self, name):
        return [fields["type"] for path, fields in self.called if path == "/report" and fields["name"] == name]


class Kannel:
    def __init__(self, http_port, callbacks):
        self._http_port = http_port
        self.callbacks = callbacks
        self._opener = build_opener(ProxyHandler({}))

    def sends(self, text, dst, name, **fields):
        report = f"http://127.0.0.1:{self.callbacks.port}/report?type=%d&name={name}"
        query = {"username": "tester", "password": "secret", "from": "12345", "to": dst, "text": text}
        query |= {"dlr-mask": "31", "dlr-url": report} | fields
        with self._opener.open(f"http://127.0.0.1:{self._http_port}/cgi-bin/sendsms?{urlencode(query)}") as answer:
            assert answer.status == 202, answer.read()

    def gets(self, name, *reports):
        eventually(lambda: set(reports) <= set(self.callbacks.reports(name)), f"{reports} for {name}")


@contextmanager
def kannel(tmp_path, smsc_port, msg_id_type="0x00"):
    bearerbox, smsbox = program_at("bearerbox"), program_at("smsbox")
    if bearerbox is None or smsbox is None:
        missing("Kannel is not installed (Debian: apt-get install kannel)")
    http_port, smsbox_port, admin_port = free_port(), free_port(), free_port()
    callbacks = Callbacks()
    configuration = tmp_path / "kannel.conf"
    configuration.write_text(
        CONFIGURATION.format(
            admin_port=admin_port,
            smsbox_port=smsbox_port,
            smsc_port=smsc_port,
            http_port=http_port,
            callback_port=callbacks.port,
            msg_id_type=msg_id_type,
        )
    )
    with ExitStack() as stack:
        log_path = tmp_path / "kannel.log"
        log = stack.enter_context(log_path.open("w"))
        stack.callback(lambda: print(log_path.read_text()[-10_000:]))  # shown if the test fails
        stack.enter_context(callbacks.served())
        stack.enter_context(running([bearerbox, "-v", "0", configuration], stderr=log, cwd=tmp_path))
        eventually(lambda: can_connect(smsbox_port), "bearerbox")
        stack.enter_context(running([smsbox, "-v", "0", configuration], stderr=log, cwd=tmp_path))
        # It listens to HTTP before it has found the bearerbox, and ends in a panic if it is asked for anything then.
        eventually(lambda: "Connected to bearerbox" in log_path.read_text("utf-8", "replace"), "smsbox")
        eventually(lambda: can_connect(http_port), "smsbox")
        yield Kannel(http_port, callbacks)


def test_kannel_and_the_simulator_get_on(tmp_path):
    """One Kannel for all of it: starting it takes a while."""
    flags = ("--system-id", "helio", "--password", "secret", "--inbound", "+4917612345678:12345:Hello from a phone")
    with simulator(*flags) as smsc, kannel(tmp_path, smsc.port) as gateway:
        gateway.sends("Hello", "+4917612345678", "one-part")
        gateway.sends("Hello " * 60, "+4917612345678", "three-parts")
        gateway.sends("Привет", "+4917612345678", "ucs-2", coding="2", charset="UTF-8")
        gateway.sends("Hello", "+49176120001", "undelivered")
        gateway.sends("Hello", "+49176120002", "expired")
        gateway.sends("Hello", "+49176120003", "refused")
        gateway.sends("Hello", "+49176120006", "throttled")
        for name in ("one-part", "three-parts", "ucs-2", "throttled"):
            gateway.gets(name, AT_SMSC, ENROUTE, DELIVERED)
        gateway.gets("undelivered", AT_SMSC, ENROUTE, FAILED)
        gateway.gets("expired", AT_SMSC, ENROUTE, EXPIRED)
        gateway.gets("refused", REFUSED)
        assert eventually(
            lambda: [fields for path, fields in gateway.callbacks.called if path == "/inbound"], "an SMS"
        ) == [{"from": "+4917612345678", "to": "12345", "text": "Hello from a phone"}]
        summary = smsc.summary(signal.SIGTERM)
        assert summary["binds"] == "1"
        assert summary["submissions"] == "11  8 accepted, 1 refused, 2 throttled"
        # It asks for receipts of a long message's last part alone, and for intermediate notifications.
        assert summary["receipts"] == "12  12 acknowledged"


@pytest.mark.parametrize(
    ("ids", "receipt_ids", "msg_id_type"),
    [("hex", "decimal", "0x01"), ("decimal", "hex", "0x02"), ("hex", "hex", "0x03")],
)
def test_kannel_s_settings_for_ids_mean_what_ours_mean(tmp_path, ids, receipt_ids, msg_id_type):
    flags = ("--id-format", ids, "--receipt-id-format", receipt_ids, "--receipt-format", "text")
    with simulator(*flags) as smsc, kannel(tmp_path, smsc.port, msg_id_type) as gateway:
        gateway.sends("Hello", "+4917612345678", "delivered")
        gateway.gets("delivered", AT_SMSC, DELIVERED)


def test_kannel_binds_again_and_gets_the_receipts_that_it_missed(tmp_path):
    with simulator("--close-every", "2", "--delay", "0.5") as smsc, kannel(tmp_path, smsc.port) as gateway:
        gateway.sends("Hello", "+4917612345678", "before")
        gateway.gets("before", AT_SMSC)
        gateway.sends("Hello", "+4917612345679", "at")
        gateway.gets("before", DELIVERED)
        gateway.gets("at", DELIVERED)
