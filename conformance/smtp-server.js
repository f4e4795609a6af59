// nodemailer's smtp-server with a handler that takes all but one user: smtp-server.js CLEAR STARTTLS TLS CHAIN KEY
//
// CLEAR, STARTTLS and TLS are ports: without a certificate, with one, and encrypted from the first octet.
const fs = require('fs');
const { SMTPServer } = require('smtp-server');

const [clear, starttls, tls, chain, key] = process.argv.slice(2);

function serve(port, how) {
    const server = new SMTPServer({
        authOptional: true,
        disabledCommands: ['AUTH'],
        disableReverseLookup: true,
        name: 'postman.local',
        cert: fs.readFileSync(chain),
        key: fs.readFileSync(key),
        onRcptTo(address, session, done) {
            if (!address.address.startsWith('nobody')) return done();
            done(Object.assign(new Error('no such user'), { responseCode: 550 }));
        },
        onData(stream, session, done) {
            stream.resume();
            stream.on('end', done);
        },
        ...how,
    });
    server.on('error', () => {});
    server.listen(Number(port), '127.0.0.1');
}

serve(clear, { disabledCommands: ['AUTH', 'STARTTLS'] });
serve(starttls, {});
serve(tls, { secure: true });
