// Encodes PDUs with npm's `smpp`: on standard input a list of {command, sequence, strings, octets, numbers},
// on standard output the list of their encodings in hex. Octets are given in hex, and stay as they are.
const smpp = require(require("path").join(process.argv[2], "smpp"));

const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const encoded = asked.map(({ command, sequence, strings, octets, numbers }) => {
  const options = { sequence_number: sequence, ...strings, ...numbers };
  for (const [name, hex] of Object.entries(octets)) options[name] = Buffer.from(hex, "hex");
  return new smpp.PDU(command, options).toBuffer().toString("hex");
});
process.stdout.write(JSON.stringify(encoded));
