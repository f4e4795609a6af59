// nodemailer's smtp-server with a handler that takes all but one user: smtp-server.js PORT
const { SMTPServer } = require('smtp-server');

const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    name: 'postman.local',
    onRcptTo(address, session, done) {
        if (!address.address.startsWith('nobody')) return done();
        done(Object.assign(new Error('no such user'), { responseCode: 550 }));
    },
    onData(stream, session, done) {
        stream.resume();
        stream.on('end', done);
    },
});
server.on('error', () => {});
server.listen(Number(process.argv[2]), '127.0.0.1');
