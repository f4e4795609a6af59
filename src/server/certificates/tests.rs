use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::*;

/// Writes a certificate and its key; returns their paths as the configuration has them.
fn put(folder: &tempfile::TempDir, until: (i32, u8, u8)) -> Certificate {
    let mut params = rcgen::CertificateParams::new(vec!["mail.example.org".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    let key = rcgen::KeyPair::generate().unwrap();
    let [chain, secret] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    fs::write(&chain, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&secret, key.serialize_pem()).unwrap();
    Certificate { chain, key: secret }
}

#[test]
fn a_star_is_one_label_and_no_other_part_of_a_name() {
    for (name, host, expected) in [
        ("x.org", "x.org", true),
        ("x.org", "a.x.org", false),
        ("*.x.org", "a.x.org", true),
        ("*.x.org", "x.org", false),
        ("*.x.org", ".x.org", false),
        ("*.x.org", "a.b.x.org", false),
        ("*", "org", false),
    ] {
        assert_eq!(matches(name, host), expected, "{name} {host}");
    }
}

#[test]
fn what_changes_is_read_without_being_told_and_what_does_not_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = put(&folder, (2120, 1, 1));
    let certificates = Certificates::read(&[certificate]).unwrap().unwrap();
    let first = certificates.current();
    certificates.renew(false);
    assert!(Arc::ptr_eq(&first, &certificates.current()));
    let (stop, told) = mpsc::channel();
    let watching = Arc::clone(&certificates);
    let watch = thread::spawn(move || watching.watch(&told, Duration::from_millis(5)));
    put(&folder, (2121, 1, 1));
    let begun = Instant::now();
    while certificates.about()[0].until != "2121-01-01" {
        assert!(begun.elapsed() < Duration::from_mins(1));
        thread::sleep(Duration::from_millis(5));
    }
    assert!(!Arc::ptr_eq(&first, &certificates.current()));
    drop(stop);
    watch.join().unwrap();
}

#[test]
fn an_end_within_fourteen_days_is_warned_of_once_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::read(&[put(&folder, (2026, 6, 15))]).unwrap().unwrap();
    let at = |day: u64, hour: u64| {
        // 1 June 2026.
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_272_000 + (day * 24 + hour) * 3600)
    };
    let entry = |now| {
        let entries = certificates.entries.lock().unwrap();
        let warnings = entries[0].about(now).warnings;
        warnings.into_iter().find(|warning| warning.starts_with("the certificate"))
    };
    assert_eq!(entry(at(0, 0)), None);
    let soon = entry(at(0, 1)).unwrap();
    assert!(soon.ends_with("chain.pem expires in 13 days: it is valid until 2026-06-15"), "{soon}");
    assert!(entry(at(14, 1)).unwrap().ends_with("has expired: it was valid until 2026-06-15"));
    let warned = || certificates.entries.lock().unwrap()[0].warned;
    certificates.warn(at(1, 0));
    certificates.warn(at(1, 23));
    assert_eq!(warned(), Some(at(1, 0)));
    certificates.warn(at(2, 0));
    assert_eq!(warned(), Some(at(2, 0)));
}
