//! The user that the server runs as: started as root, it becomes the configured user permanently.
//!
//! That happens before any thread is started, by calls that change the whole process, so that no
//! thread keeps root's rights.

use std::net::SocketAddr;

use nix::unistd::{
    Gid, Group, ResUid, Uid, User, getresuid, getuid, setgroups, setresgid, setresuid,
};

use crate::config::Config;

/// Looks up the user and the group that a configuration names. Returns `None` if it names none.
///
/// # Errors
/// One line: there is no user or group of this name, or it is root.
pub fn configured(config: &Config) -> Result<Option<(Uid, Gid)>, String> {
    let Some(name) = &config.user else {
        return if config.group.is_some() {
            Err("`group` needs `user`: root becomes both or neither".to_owned())
        } else {
            Ok(None)
        };
    };
    let user = User::from_name(name)
        .map_err(|error| format!("cannot look up the user {name}: {error}"))?;
    let user = user.ok_or_else(|| format!("there is no user {name}"))?;
    if user.uid.is_root() {
        return Err(format!("the user {name} is root, which the server must not be"));
    }
    let Some(name) = &config.group else { return Ok(Some((user.uid, user.gid))) };
    let group = Group::from_name(name)
        .map_err(|error| format!("cannot look up the group {name}: {error}"))?;
    let group = group.ok_or_else(|| format!("there is no group {name}"))?;
    Ok(Some((user.uid, group.gid)))
}

/// Becomes the configured user. Returns a warning if root stays root.
///
/// # Errors
/// One line: the configured user cannot be had, or root would serve other hosts than this one.
pub fn become_configured(
    config: &Config,
    listening: &[SocketAddr],
) -> Result<Option<String>, String> {
    let public = listening.iter().find(|address| !address.ip().to_canonical().is_loopback());
    match configured(config)? {
        Some((uid, _)) if !getuid().is_root() => {
            if getuid() == uid {
                Ok(None)
            } else {
                Err(format!("cannot become the user {uid}: not started as root"))
            }
        }
        Some((uid, gid)) => {
            become_permanently(uid, gid)
                .map_err(|error| format!("cannot become the user {uid}: {error}"))?;
            Ok(None)
        }
        None if !getuid().is_root() => Ok(None),
        None => match public {
            None => Ok(Some(
                "serving as root, on loopback only: set `user` to run as another user".to_owned(),
            )),
            Some(address) => Err(format!(
                "root serves on loopback only, not on {address}: set `user` to the user to run as"
            )),
        },
    }
}

fn become_permanently(uid: Uid, gid: Gid) -> Result<(), String> {
    let shown = |error: nix::Error| error.desc().to_owned();
    setgroups(&[]).map_err(shown)?;
    setresgid(gid, gid, gid).map_err(shown)?;
    setresuid(uid, uid, uid).map_err(shown)?;
    // Trust, but look.
    let is = getresuid().map_err(shown)?;
    if is != (ResUid { real: uid, effective: uid, saved: uid })
        || setresuid(Uid::from_raw(0), uid, uid).is_ok()
    {
        return Err("the way back to root is open".to_owned());
    }
    Ok(())
}
