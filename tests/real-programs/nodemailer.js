// node nodemailer.js PORT FROM FILE TO...: sends the file as it is.
const fs = require("fs");
const nodemailer = require("nodemailer");
const [port, from, file, ...to] = process.argv.slice(2);
const transport = nodemailer.createTransport({ host: "127.0.0.1", port: Number(port), secure: false, ignoreTLS: true });
transport.sendMail({ envelope: { from, to }, raw: fs.readFileSync(file) })
    .then((sent) => process.exit(sent.rejected.length ? 1 : 0))
    .catch((error) => { console.error(error.message); process.exit(1); });
