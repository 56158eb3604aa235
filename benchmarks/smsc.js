// The SMSC of the measurements beside Kannel: npm's `smpp`. It takes every message, and sends its receipt after so many
// milliseconds: node smsc.js DELAY. The first line that it prints is its port; it ends when its standard input does.
const path = require("path");
const smpp = require(path.join(__dirname, "..", "tests", "interop", "node_modules", "smpp"));

const delay = Number(process.argv[2]);
let messageCount = 0;

function submitted(session, pdu) {
  const id = String(++messageCount).padStart(10, "0");
  session.send(pdu.response({ message_id: id }));
  if (!pdu.registered_delivery) return;
  const words = `id:${id} sub:001 dlvrd:001 submit date:2601311200 done date:2601311200 stat:DELIVRD err:000 text:Hello`;
  const addresses = { source_addr: pdu.destination_addr, source_addr_ton: 1, destination_addr: pdu.source_addr };
  setTimeout(() => session.deliver_sm({ ...addresses, esm_class: 4, short_message: words }), delay);
}

const server = smpp.createServer((session) => {
  session.on("error", () => {});
  session.on("bind_transceiver", (pdu) => session.send(pdu.response({ system_id: "npm", sc_interface_version: 0x34 })));
  session.on("submit_sm", (pdu) => submitted(session, pdu));
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => {
    session.send(pdu.response());
    session.close();
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
process.stdin.resume().on("end", () => process.exit(0));
