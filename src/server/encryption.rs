//! A connection's handshake: whether it may begin, and what became of it.

use std::sync::Arc;

use rustls::ServerConfig;

use super::Shared;
use super::connection::Connection;
use super::handshakes::{self, UnderWay};
use super::watch::Ended;
use crate::smtp::session::{Input, Refusal};

/// A handshake that may begin: its place among those under way, and the certificates of now.
pub(super) struct Begun {
    /// The certificates.
    config: Arc<ServerConfig>,
    /// The place, until the handshake is over.
    _place: UnderWay,
}

impl Shared {
    /// Lets a handshake begin, if there is a certificate and the cap allows it.
    fn begin_handshake(&self) -> Result<Begun, Refusal> {
        let certificates = self.certificates.as_ref().ok_or(Refusal::Broken)?;
        let place = self.handshakes.begin().ok_or(Refusal::Busy)?;
        Ok(Begun { config: certificates.current(), _place: place })
    }
}

impl Connection<'_> {
    /// Answers whether a handshake can begin, and keeps its place if it can.
    pub(super) fn begin_handshake(&mut self) -> Result<(), Refusal> {
        self.handshake = Some(self.shared.begin_handshake()?);
        Ok(())
    }

    /// Encrypts the line of a client that says nothing in the clear. Returns whether it is encrypted
    /// now.
    pub(super) async fn encrypt_from_first_octet(&mut self) -> bool {
        if self.begin_handshake().is_err() {
            self.log.handshake_failed(&format!(
                "handshakes_max={} are under way",
                self.shared.config.handshakes_max
            ));
            return false;
        }
        self.encrypt().await;
        if !self.wire.is_encrypted() {
            self.wire.linger().await;
        }
        self.wire.is_encrypted()
    }

    /// Sends the replies, the last in the clear, and shakes hands. Returns what the session is to be
    /// told.
    pub(super) async fn encrypt(&mut self) -> Input<'static> {
        let (sent, handshake) = (self.wire.send().await, self.handshake.take());
        let (Ok(()), Some(Begun { config, _place })) = (sent, handshake) else {
            return Input::HangUp;
        };
        let ended = self.wire.encrypt(config).await;
        self.since = self.wire.waiter.now();
        match ended {
            Ended::Done(Ok(())) => {
                self.log.encrypted(self.wire.encryption(), self.wire.server_name());
                Input::Encrypted
            }
            Ended::Done(Err(failure)) => {
                self.log.handshake_failed(&handshakes::words(&failure));
                Input::HangUp
            }
            Ended::Late => {
                self.log.handshake_failed("it was not over within command_seconds_max");
                Input::Silence
            }
            Ended::Stop => Input::Stop,
        }
    }
}
