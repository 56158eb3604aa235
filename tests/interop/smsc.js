// An SMSC made of npm's `smpp`, with faults to order. It prints a line of JSON for whatever happens: first
// {"event": "listening", "port": …}, then each PDU that it gets, and each message that it takes ("taken"). It ends when
// its standard input does.
//
//   --throttle N         the first N messages are answered with ESME_RTHROTTLED
//   --refuse STATUS      every message is answered with that command_status, such as 0x0b
//   --answer-after MS    how long answers take
//   --delay MS           how long after its message a receipt comes (default 20)
//   --receipts HOW       text (default), tlv (no text), data_sm, ucs2, early (before the answer), late (after two
//                        seconds), double, contradictory (delivered, then undelivered), bare (with few fields),
//                        unmarked (esm_class 0), none
//   --stat WORD          what receipts say (default DELIVRD)
//   --ids BASE           of answers: decimal (default), hex (with zeros in front)
//   --receipt-ids BASE   of receipts: decimal (default), hex (without zeros)
//   --deaf               enquire_link is never answered
//   --close-on N         the connection is destroyed in place of the answer to the Nth message
//   --inbound TEXT       that SMS comes from a phone after each bind
//
// A message that waits for its receipt can be cancelled, if its source address is given as it was sent (SMPP 3.4, 4.9.1);
// its receipt says DELETED then.
const path = require("path");
const { parseArgs } = require("util");
const smpp = require(path.join(__dirname, "node_modules", "smpp"));

const text = { type: "string" };
const { values: order } = parseArgs({
  options: {
    throttle: text, refuse: text, "answer-after": text, delay: text, receipts: text, stat: text, ids: text,
    "receipt-ids": text, deaf: { type: "boolean" }, "close-on": text, inbound: text,
  },
});
const how = order.receipts ?? "text";
const stat = order.stat ?? "DELIVRD";
const delay = how === "late" ? 2000 : Number(order.delay ?? 20);
const states = { DELIVRD: 2, EXPIRED: 3, UNDELIV: 5 };
const receivers = [];
const waiting = new Map();
let messageCount = 0;

const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const say = (pdu) => tell({
  event: pdu.command, sequence: pdu.sequence_number, status: pdu.command_status, source: pdu.source_addr,
  destination: pdu.destination_addr, text: pdu.short_message?.message, esm_class: pdu.esm_class,
  message_id: pdu.message_id,
});

function receipt(submission, number, word) {
  const id = order["receipt-ids"] === "hex" ? number.toString(16) : String(number).padStart(10, "0");
  const pdu = {
    source_addr: submission.destination_addr, source_addr_ton: 1, source_addr_npi: 1,
    destination_addr: submission.source_addr, esm_class: how === "unmarked" ? 0 : 4,
  };
  const words = how === "bare"
    ? `id:${id} stat:${word}`
    : `id:${id} sub:001 dlvrd:001 submit date:2601311200 done date:2601311200 stat:${word} err:000 text:Hello`;
  if (how === "tlv" || how === "data_sm") {
    pdu.receipted_message_id = id;
    pdu.message_state = states[word];
  } else {
    pdu.short_message = words;
  }
  if (how === "ucs2") pdu.data_coding = 8;
  return pdu;
}

function sendReceipts(submission, number) {
  if (how === "none" || !submission.registered_delivery) return;
  const words = how === "double" ? [stat, stat] : how === "contradictory" ? [stat, "UNDELIV"] : [stat];
  const session = receivers.at(-1);
  for (const word of words) session?.[how === "data_sm" ? "data_sm" : "deliver_sm"](receipt(submission, number, word));
}

function submitted(session, pdu) {
  const number = ++messageCount + 0xabcdef;
  const answer = (response) => setTimeout(() => session.send(pdu.response(response)), Number(order["answer-after"] ?? 0));
  if (messageCount === Number(order["close-on"])) return session.destroy();
  if (messageCount <= Number(order.throttle ?? 0)) return answer({ command_status: smpp.ESME_RTHROTTLED });
  if (order.refuse) return answer({ command_status: Number(order.refuse) });
  if (how === "early") sendReceipts(pdu, number);
  const id = order.ids === "hex" ? number.toString(16).padStart(8, "0") : String(number).padStart(10, "0");
  tell({ event: "taken", message_id: id, source: pdu.source_addr, destination: pdu.destination_addr });
  answer({ message_id: id });
  if (how === "early") return;
  const timer = setTimeout(() => {
    waiting.delete(id);
    sendReceipts(pdu, number);
  }, delay);
  waiting.set(id, { submission: pdu, number, timer });
}

function cancelled(session, pdu) {
  const { submission, number, timer } = waiting.get(pdu.message_id) ?? {};
  const address = ["source_addr", "source_addr_ton", "source_addr_npi"];
  if (!submission || address.some((field) => submission[field] !== pdu[field])) {
    return session.send(pdu.response({ command_status: smpp.ESME_RCANCELFAIL }));
  }
  clearTimeout(timer);
  waiting.delete(pdu.message_id);
  session.send(pdu.response());
  if (submission.registered_delivery) receivers.at(-1)?.deliver_sm(receipt(submission, number, "DELETED"));
}

const server = smpp.createServer((session) => {
  session.on("error", (error) => tell({ event: "error", message: error.message }));
  session.on("close", () => receivers.includes(session) && receivers.splice(receivers.indexOf(session), 1));
  session.on("pdu", (pdu) => {
    say(pdu);
    if (pdu.command.startsWith("bind_") && !pdu.isResponse()) {
      session.send(pdu.response({ system_id: "npm", sc_interface_version: 0x34 }));
      if (pdu.command === "bind_transmitter") return;
      receivers.push(session);
      if (order.inbound) {
        const addresses = { source_addr: "4917600000001", source_addr_ton: 1, destination_addr: "12345" };
        session.deliver_sm({ ...addresses, short_message: order.inbound });
      }
    } else if (pdu.command === "submit_sm") {
      submitted(session, pdu);
    } else if (pdu.command === "cancel_sm") {
      cancelled(session, pdu);
    } else if (pdu.command === "unbind") {
      session.send(pdu.response());
      session.close();
    } else if (pdu.command === "enquire_link" && !order.deaf) {
      session.send(pdu.response());
    }
  });
});
server.listen(0, "127.0.0.1", () => tell({ event: "listening", port: server.address().port }));
process.stdin.resume().on("end", () => process.exit(0));
