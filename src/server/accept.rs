//! A client's way in, and its life: each has a task of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_lite::{FutureExt as _, future};
use smol::Executor;

use super::admission::Admitted;
use super::door::{self, Door};
use super::log::{self, SessionLog};
use super::socket::Socket;
use super::terms::Terms;
use super::{Shared, guard};
use crate::smtp::machine::Position;
use crate::smtp::reply;
use crate::smtp::session::Client;

/// Lets clients in until the server stops.
pub(super) async fn accept(shared: Arc<Shared>, executor: Arc<Executor<'static>>, mut door: Door) {
    loop {
        let stopped = async {
            shared.watch.stopped().await;
            None
        };
        let accepted = async { Some(door.accept().await) };
        let Some(accepted) = stopped.or(accepted).await else { return };
        let Some((socket, address)) = accepted else {
            // An accept that fails each time must not keep the reactor from anything else.
            future::yield_now().await;
            continue;
        };
        let second = shared.watch.now() / 1000;
        let terms = door.current.get();
        let is_uncapped = address.is_some_and(|address| terms.is_uncapped(address));
        match shared.admission.admit(address, is_uncapped, second) {
            Err(refusal) => {
                shared.totals.turn_away();
                door.refuse(&socket, address, refusal.key(), second);
            }
            Ok(admitted) => {
                let shared = Arc::clone(&shared);
                executor.spawn(serve_client(shared, terms, socket, address, admitted)).detach();
            }
        }
    }
}

/// The life of a connection, from its first moment. The client is counted until the end of it.
pub(super) async fn serve_client(
    shared: Arc<Shared>,
    terms: Arc<Terms>,
    socket: Socket,
    address: Option<IpAddr>,
    _counted: Admitted,
) {
    let number = shared.clients.fetch_add(1, Ordering::Relaxed) + 1;
    let local = socket.local_ip().or(address);
    let refused = address.is_some_and(|address| terms.refuses(address));
    let may_relay = address.map_or(terms.may_relay, |address| terms.may_relay(address));
    let client = Client { id: format!("{number:04x}"), address, local, may_relay, refused };
    shared.totals.begin_session();
    let state = Position::initial(terms.settings.machine).name();
    let machine = terms.settings.machine;
    let dialogue = shared.dialogues.begin(&client.id, address, machine, state);
    let transcripts = shared.transcripts.as_ref();
    let mut log = SessionLog::new(&client, &terms, transcripts, dialogue);
    let id = client.id.clone();
    let ended = guard::guard(&id, (shared.serve)(&shared, &terms, &socket, client, &mut log)).await;
    if ended.is_none() && !log.is_encrypted() && !terms.from_first_octet {
        door::turn_away(&socket, &reply::broken());
    }
    log.disconnect(ended);
    if shared.enough.is_reached() && !shared.watch.is_stopping() {
        log::enough();
        shared.watch.stop();
    }
}
