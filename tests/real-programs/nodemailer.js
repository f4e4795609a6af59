// node nodemailer.js PORT FROM FILE TO...: sends the file as it is. The environment's TLS says how: `clear`,
// `starttls` (and no other way), `first` (from the first octet); CA is the file of who may sign.
const fs = require("fs");
const nodemailer = require("nodemailer");
const [port, from, file, ...to] = process.argv.slice(2);
const kind = process.env.TLS || "clear";
const transport = nodemailer.createTransport(kind === "clear"
    ? { host: "127.0.0.1", port: Number(port), secure: false, ignoreTLS: true }
    : { host: "localhost", port: Number(port), secure: kind === "first", requireTLS: true,
        tls: { ca: fs.readFileSync(process.env.CA) } });
transport.sendMail({ envelope: { from, to }, raw: fs.readFileSync(file) })
    .then((sent) => process.exit(sent.rejected.length ? 1 : 0))
    .catch((error) => { console.error(error.message); process.exit(1); });
