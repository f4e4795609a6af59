//! Certificates: which one a client gets, how they are renewed while mail comes, and what is
//! refused aloud.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::rig::{PAGE_PATH, Server, postman, skip, text, wait_until};
use crate::secure::{Keys, VERSIONS, client_config, der, pair, start_tls};

/// A server with these certificates and a log.
fn serve(keys: &Keys, names: &[&str]) -> Server {
    let log = keys.path("log");
    let log = format!("log: (console_level: \"off\", files: [(\"{}\", \"info\")])", log.display());
    Server::start(&format!("({}, {log})", keys.ron(names)))
}

fn log(keys: &Keys) -> String {
    fs::read_to_string(keys.path("log")).unwrap()
}

/// The certificate that a new client gets.
fn shown(server: &Server, name: &str) -> Vec<u8> {
    start_tls(server, &client_config(VERSIONS[1]), name).certificate()
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for_or_the_first() {
    let keys = Keys::new();
    keys.put("b", &["mx.example.net", "*.example.com"]);
    let server = serve(&keys, &["a", "b"]);
    let [a, b] = ["a.pem", "b.pem"].map(|name| der(&keys.path(name)));
    for version in VERSIONS {
        let shown = |name| start_tls(&server, &client_config(version), name).certificate();
        assert_eq!(shown("mail.example.org"), a);
        assert_eq!(shown("mx.example.net"), b);
        assert_eq!(shown("MX.Example.Net"), b);
        assert_eq!(shown("any.example.com"), b);
        // A star is one label, and no more.
        assert_eq!(shown("x.any.example.com"), a);
        assert_eq!(shown("example.com"), a);
        assert_eq!(shown("unknown.example"), a);
        // An address is no name: the client asks for none.
        assert_eq!(shown("127.0.0.1"), a);
    }
}

#[test]
fn renewal_under_load_fails_no_client_and_new_ones_see_the_new_certificate() {
    let keys = Keys::new();
    let server = serve(&keys, &["a"]);
    let mut old = start_tls(&server, &client_config(VERSIONS[1]), "mail.example.org");
    let before = der(&keys.path("a.pem"));
    assert_eq!(old.certificate(), before);
    let stop = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let load: Vec<_> = VERSIONS
            .into_iter()
            .map(|version| {
                let (server, stop) = (&server, &stop);
                scope.spawn(move || {
                    let mut sent = 0;
                    while !stop.load(Ordering::SeqCst) {
                        start_tls(server, &client_config(version), "mail.example.org").deliver();
                        sent += 1;
                    }
                    sent
                })
            })
            .collect();
        let mut last = before;
        for _ in 0..10 {
            keys.put("a", &["mail.example.org"]);
            server.send_signal(Signal::HUP);
            let new = der(&keys.path("a.pem"));
            assert_ne!(new, last);
            wait_until("the new certificate", || shown(&server, "mail.example.org") == new);
            last = new;
        }
        stop.store(true, Ordering::SeqCst);
        load.into_iter().map(|load| load.join().unwrap()).sum::<usize>()
    });
    // The session of before goes on.
    old.deliver();
    assert_eq!(server.files("user/new").len(), sent + 1);
}

#[test]
fn what_cannot_be_used_is_refused_aloud_and_the_old_one_stays() {
    let keys = Keys::new();
    keys.put("b", &["mx.example.net"]);
    let server = serve(&keys, &["a", "b"]);
    let [a, b] = ["a.pem", "b.pem"].map(|name| der(&keys.path(name)));
    let (other, other_key) = pair(&["mail.example.org"], (2020, 2120));
    let (chain, key) = (keys.path("a.pem"), keys.path("a.key"));
    let good = [fs::read_to_string(&chain).unwrap(), fs::read_to_string(&key).unwrap()];
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let cases = [
        (half(&good[0]), good[1].clone(), "it is cut: an `END` line is missing"),
        (String::new(), good[1].clone(), "it has no `BEGIN CERTIFICATE`"),
        (good[0].clone(), half(&good[1]), "it is cut: an `END` line is missing"),
        (good[0].clone(), good[0].clone(), "it has no private key in the form PEM"),
        (good[0].clone(), other_key.clone(), "it is not the key of the certificate"),
        (other.clone(), good[1].clone(), "it is not the key of the certificate"),
        (good[0].replace("MII", "!!!"), good[1].clone(), "is not base64"),
    ];
    for (number, (new_chain, new_key, why)) in cases.iter().enumerate() {
        fs::write(&chain, new_chain).unwrap();
        fs::write(&key, new_key).unwrap();
        server.send_signal(Signal::HUP);
        let refusals = || log(&keys).matches("ERROR - certificate refused=").count();
        wait_until("the refusal", || refusals() == number + 1);
        let log = log(&keys);
        let line = log.lines().rfind(|line| line.contains("refused=")).unwrap();
        assert!(line.contains(why) && line.ends_with("the one before it stays"), "{why}: {line}");
        assert!(!line.contains("PRIVATE"), "{line}");
        assert_eq!(shown(&server, "mail.example.org"), a);
        assert_eq!(shown(&server, "mx.example.net"), b);
    }
    fs::remove_file(&chain).unwrap();
    server.send_signal(Signal::HUP);
    wait_until("the refusal", || log(&keys).contains("No such file or directory"));
    // The rest of a pair makes it whole.
    fs::write(&chain, &other).unwrap();
    fs::write(&key, &other_key).unwrap();
    server.send_signal(Signal::HUP);
    wait_until("the new one", || shown(&server, "mail.example.org") == der(&chain));
    // At a start there is no old one.
    for (new_chain, new_key, why) in &cases {
        fs::write(&chain, new_chain).unwrap();
        fs::write(&key, new_key).unwrap();
        let config = keys.path("postman.ron");
        let mail = keys.path("mail");
        let keys = keys.ron(&["a"]);
        fs::write(&config, format!("(port: 0, maildir_path: \"{}\", {keys})", mail.display()))
            .unwrap();
        for command in ["check", "serve"] {
            let said =
                postman(&[command, "--states", PAGE_PATH, "--config", config.to_str().unwrap()]);
            let errors = text(&said.stderr);
            assert_eq!(said.status.code(), Some(2), "{errors}");
            assert!(
                errors.starts_with("postman: cannot use the ") && errors.contains(why),
                "{errors}"
            );
        }
    }
}

/// Root would read it, and find at the first renewal that the server's user cannot.
#[test]
fn a_key_that_only_root_reads_is_refused_at_the_start() {
    if !rustix::process::getuid().is_root() {
        return skip("becoming another user needs root");
    }
    let keys = Keys::new();
    let rights = |name: &str, mode| {
        fs::set_permissions(keys.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for folder in ["", "mail"] {
        fs::create_dir_all(keys.path(folder)).unwrap();
        rights(folder, 0o755);
    }
    let nobody = Some(65534);
    chown(keys.path("mail"), nobody, nobody).unwrap();
    rights("a.key", 0o600);
    let config = keys.path("postman.ron");
    let mail = keys.path("mail");
    let list = keys.ron(&["a"]);
    fs::write(
        &config,
        format!("(port: 0, user: \"nobody\", maildir_path: \"{}\", {list})", mail.display()),
    )
    .unwrap();
    let check = || postman(&["check", "--states", PAGE_PATH, "--config", config.to_str().unwrap()]);
    let refused = text(&check().stderr);
    let key = keys.path("a.key").display().to_string();
    assert_eq!(
        refused,
        format!(
            "postman: cannot read the key {key}: Permission denied; the server reads it as the user that it becomes\n"
        )
    );
    chown(keys.path("a.key"), nobody, nobody).unwrap();
    let said = check();
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
    // A key that everybody reads is no secret.
    rights("a.key", 0o644);
    let said = text(&check().stdout);
    let warning = format!("  warning     every user of this machine can read the key {key}\n");
    assert!(said.contains(&warning), "{said}");
}

#[test]
fn an_end_that_is_near_is_told_by_check_and_in_the_log() {
    use chrono::Datelike as _;
    let keys = Keys::new();
    let year = chrono::Utc::now().year();
    let warn = |years, begin: &str| {
        let (chain, key) = pair(&["mail.example.org"], years);
        fs::write(keys.path("a.pem"), chain).unwrap();
        fs::write(keys.path("a.key"), key).unwrap();
        let config = keys.path("postman.ron");
        let mail = keys.path("mail");
        let list = keys.ron(&["a"]);
        fs::write(&config, format!("(port: 0, maildir_path: \"{}\", {list})", mail.display()))
            .unwrap();
        let said = text(
            &postman(&["check", "--states", PAGE_PATH, "--config", config.to_str().unwrap()])
                .stdout,
        );
        assert!(said.contains("\n  certificate mail.example.org, until "), "{said}");
        assert_eq!(said.contains("  warning     the certificate "), !begin.is_empty(), "{said}");
        assert!(said.contains(begin), "{said}");
    };
    warn((2020, 2021), " has expired: it was valid until 2021-01-01\n");
    warn((year + 2, year + 3), &format!(" is not valid yet, but from {}-01-01\n", year + 2));
    warn((2020, 2120), "");
}

#[test]
fn a_certificate_for_a_trial_serves_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let made =
        postman(&["certificate", "self-signed", "--folder", path, "mail.example.org", "localhost"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let said = text(&made.stdout);
    let line = said.lines().find(|line| line.trim_start().starts_with("certificates:")).unwrap();
    let rights = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
    assert_eq!((rights("key.pem") & 0o777, rights("chain.pem") & 0o777), (0o600, 0o644));
    let server = Server::start(&format!("({line})"));
    let shown = start_tls(&server, &client_config(VERSIONS[1]), "localhost").certificate();
    assert_eq!(shown, der(&folder.path().join("chain.pem")));
    // It takes the place of nothing.
    let again = postman(&["certificate", "self-signed", "--folder", path, "x.org"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("File exists; move it away, or name another folder"));
    let wrong = postman(&["certificate", "self-signed", "--folder", path, "m\u{fc}.org"]);
    assert_eq!(wrong.status.code(), Some(2));
}

/// The guide's deploy hook, with a folder as certbot keeps it: names in `live` that lead into
/// `archive`, which is root's alone.
#[test]
fn the_guide_s_deploy_hook_hands_on_what_certbot_renews() {
    let guide = include_str!("../../docs/running.md");
    let hook =
        guide.split("```conf /etc/letsencrypt/renewal-hooks/deploy/postman\n").nth(1).unwrap();
    let hook = hook.split("\n```").next().unwrap();

    let keys = Keys::new();
    let own = keys.path("own");
    let lineage = keys.path("live/mail.example.org");
    for folder in [&own, &lineage, &keys.path("archive/mail.example.org")] {
        fs::create_dir_all(folder).unwrap();
    }
    let renew = |number: u32| {
        let (chain, key) = pair(&["mail.example.org"], (2020, 2120));
        for (name, text) in [("fullchain", chain), ("privkey", key)] {
            let file = format!("archive/mail.example.org/{name}{number}.pem");
            fs::write(keys.path(&file), text).unwrap();
            let link = lineage.join(format!("{name}.pem"));
            let _ = fs::remove_file(&link);
            symlink(Path::new("../..").join(file), link).unwrap();
        }
    };
    // The hook as it is in the guide, but for the folder, the user and the service.
    let id = rustix::process::getuid().as_raw().to_string();
    let hook = hook.replace("/etc/postman/tls", own.to_str().unwrap());
    let hook = hook.replace("-o postman -g postman", &format!("-o {id}"));
    let deploy = |reload: &str| {
        let run = hook.replace("systemctl reload postman", reload);
        let done = Command::new("sh")
            .args(["-e", "-c", &run])
            .env("RENEWED_LINEAGE", &lineage)
            .output()
            .unwrap();
        assert!(done.status.success(), "{run}\n{}", text(&done.stderr));
    };
    renew(1);
    deploy("true");
    let chain = own.join("fullchain.pem");
    let config = format!(
        "(certificates: [(chain: \"{}\", key: \"{}\")])",
        chain.display(),
        own.join("privkey.pem").display()
    );
    let server = Server::start(&config);
    let first = shown(&server, "mail.example.org");
    assert_eq!(first, der(&chain));
    renew(2);
    deploy(&format!("kill -HUP {}", server.id()));
    assert_ne!(der(&chain), first);
    wait_until("the renewed one", || shown(&server, "mail.example.org") == der(&chain));
    // What nobody tells the server of it sees by itself, within ten seconds.
    renew(3);
    deploy("true");
    wait_until("the one after it", || shown(&server, "mail.example.org") == der(&chain));
}
